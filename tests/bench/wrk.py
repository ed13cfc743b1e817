"""wrk, Debian's load generator: sends requests in turn over so many connections, and tells how they were answered."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PATH = "/cds-services/dry-needling-order-select"
NAMES = "names.txt"

# Every wrk thread has a Lua state of its own. Each hundredth request is a malformed one, where there are any.
LUA = """
local folder = "{folder}/"
local requests, malformed, sent = {{}}, {{}}, 0
statuses = ""
local counted = {{}}

local function read(name)
    local file = io.open(folder .. name, "rb")
    local body = file:read("*all")
    file:close()
    return wrk.format("POST", "{path}", {{["Content-Type"] = "application/json"}}, body)
end

function init(args)
    for name in io.lines(folder .. "{names}") do
        table.insert(name:match("^malformed") and malformed or requests, read(name))
    end
end

function request()
    sent = sent + 1
    if #malformed > 0 and sent % 100 == 0 then
        return malformed[(sent / 100) % #malformed + 1]
    end
    return requests[sent % #requests + 1]
end
"""
COUNTING = """
function response(status)
    counted[status] = (counted[status] or 0) + 1
    statuses = ""
    for code, number in pairs(counted) do
        statuses = statuses .. " " .. code .. "=" .. number
    end
end

local threads = {{}}
function setup(thread)
    table.insert(threads, thread)
end

function done()
    for _, thread in ipairs(threads) do
        io.write("statuses" .. thread:get("statuses") .. "\\n")
    end
end
"""


@dataclass(frozen=True)
class Measured:
    """What one run told.

    Attributes:
        rate: answers a second.
        p50: milliseconds that half of the answers did not exceed.
        p99: milliseconds that 99 of 100 answers did not exceed.
        refused: answers with another status than 2xx or 3xx.
        broken: connections that failed, and answers that did not come in time.
        statuses: answers by status, where they were counted.
    """

    rate: float
    p50: float
    p99: float
    refused: int
    broken: int
    statuses: dict[int, int]


def require() -> None:
    """End the program when wrk is not there."""
    if shutil.which("wrk") is None:
        sys.exit("wrk is needed, as from Debian's package of that name")


def script(folder: Path, bodies: Sequence[bytes], malformed: Sequence[bytes] = (), *, counting: bool = False) -> Path:
    """Write what wrk sends into a folder; return the script."""
    folder.mkdir()
    names = []
    for kind, group in (("request", bodies), ("malformed", malformed)):
        for number, body in enumerate(group):
            names.append(f"{kind}-{number}.json")
            (folder / names[-1]).write_bytes(body)
    (folder / NAMES).write_text("\n".join(names), encoding="utf-8")
    path = folder / "script.lua"
    words = LUA + (COUNTING if counting else "")
    path.write_text(words.format(folder=folder, path=PATH, names=NAMES), encoding="utf-8")
    return path


def run(url: str, lua: Path, connections: int, seconds: int) -> Measured:
    """Send requests for some seconds; return how they were answered."""
    threads = min(2, connections)
    command = [
        "wrk",
        f"-t{threads}",
        f"-c{connections}",
        f"-d{seconds}s",
        "--timeout",
        "10s",
        "--latency",
        "-s",
        str(lua),
    ]
    said = subprocess.run([*command, url + PATH], capture_output=True, text=True, check=True).stdout
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
    statuses: dict[int, int] = {}
    for code, number in re.findall(r"(\d+)=(\d+)", said):
        statuses[int(code)] = statuses.get(int(code), 0) + int(number)
    return Measured(
        rate=float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]),
        p50=_milliseconds(re.search(r"(?m)^\s+50%\s+(\S+)", said)[1]),
        p99=_milliseconds(re.search(r"(?m)^\s+99%\s+(\S+)", said)[1]),
        refused=int(refused[1]) if refused else 0,
        broken=sum(map(int, broken.groups())) if broken else 0,
        statuses=statuses,
    )


def _milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}[unit]
