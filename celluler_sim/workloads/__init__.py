"""Workloads: where jobs, and sometimes providers, come from. Importing this registers the family ``workload``."""

from celluler_sim.workloads.base import Jobs, Machines, Workload
from celluler_sim.workloads.generated import Generated
from celluler_sim.workloads.gpu_cluster import GpuCluster
from celluler_sim.workloads.llm_clients import LlmClients
from celluler_sim.workloads.llm_requests import LlmRequests
from celluler_sim.workloads.multi_resource import MultiResource

__all__ = ["Generated", "GpuCluster", "Jobs", "LlmClients", "LlmRequests", "Machines", "MultiResource", "Workload"]
