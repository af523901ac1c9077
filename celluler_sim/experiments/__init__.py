"""What turns a simulator into a laboratory: replicates, paired comparisons, sweeps, sensitivity, exports."""
