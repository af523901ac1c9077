"""Checkpoints: the state of a running economy on disk, as data and nothing but data.

A checkpoint holds what changes while a run goes on. What follows from the scenario (its configuration, its rules,
traces, compiled functions) is composed anew when it is read, so a checkpoint names no code and none is executed.
"""
