"""Traces small enough to check on paper, written as their publishers write them."""

from __future__ import annotations

from pathlib import Path

NODES = """sn,cpu_milli,memory_mib,gpu,model
node-0,32000,65536,0,
node-1,96000,393216,8,G2
node-2,96000,393216,8,G2
node-3,104000,524288,2,T4
"""
PODS = """name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time
pod-0,4000,4096,1,500,,LS,Running,0,172800,0
pod-1,8000,8192,2,1000,,BE,Succeeded,86400,86520,86420
pod-2,1000,1024,0,0,,LS,Failed,90000,90300,90100
pod-3,4000,2048,1,1000,T4,BE,Pending,100000,100060,
pod-4,4000,2048,1,1000,G2|T4,LS,Running,110000,110400,110000
"""
REQUESTS = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,400,40
2023-11-16 18:15:48.6805900,800,80
2023-11-16 18:15:48.6805900,0,0
2023-11-16 18:15:56.6805900,4000,400
"""
RATES = """client,time_s,rate,cv,pattern,pattern_arg1,pattern_arg2
0,0,2,1,Gamma,1,0.5
0,600,4,2,Gamma,0.25,1
3,0,0,0,,0,0
3,600,1,1.5,Weibull,0.7,1
"""
_PARTS = ("mean", "p10", "p50", "p90", "p99")
_TOKEN_HEADER = ",".join(f"{side}_tokens_{part}" for side in ("input", "output") for part in _PARTS)
TOKENS = f"""client,window_start_s,{_TOKEN_HEADER}
0,0,100,100,100,100,100,20,20,20,20,20
"""
PROVIDERS = """timestamp,gpu_type,socket_type,provider,count,min,avg
2025-10-19T21:01:58.727366+00:00,H200_141GB,,runpod,3,2.5,2.75
2025-10-19T21:31:58.727366+00:00,H200_141GB,,runpod,2,2.5,2.5
2025-10-19T21:01:58.727366+00:00,H100_80GB,SXM5,"cloud, inc",1,2,2
"""


def write(folder: Path, **texts: str) -> Path:
    """Write each text as ``name.csv`` and return the folder."""
    for name, text in texts.items():
        (folder / f"{name.replace('__', '-')}.csv").write_text(text)
    return folder
