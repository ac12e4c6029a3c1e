"""What a process cost so far, from /proc."""
import os
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads that live, user and kernel, to the nanosecond the scheduler counts in."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except FileNotFoundError:
            continue  # the thread has just ended
    return total / 1e9


def memory_mb(pid: int) -> tuple[float, float]:
    """Resident and anonymous memory in MB."""
    fields = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, value = line.split(":")
        fields[name] = int(value.split()[0])
    return fields["Rss"] / 1024, fields["Anonymous"] / 1024


def machine_busy_seconds() -> float:
    """CPU time that everything on the machine used since boot."""
    ticks = [int(value) for value in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle = ticks[3] + ticks[4]
    return (sum(ticks) - idle) / os.sysconf("SC_CLK_TCK")
