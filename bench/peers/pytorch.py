"""PyTorch's side of a comparison: loads the folder it is told, and runs it in turns (protocol: src/bench/contender.ts)."""

import base64
import json
import re
import resource
import sys
import time
from pathlib import Path

import diffusers
import numpy
import torch

from networks import wrapped

TYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
STORED = {"f32": numpy.float32, "i64": numpy.int64}


class Peer:
    def load(self, what):
        started = time.perf_counter()
        torch.set_num_threads(what["threads"])
        self.dtype = TYPES[what["dtype"]]
        cls = getattr(diffusers, what["className"])
        network = cls.from_pretrained(Path(what["folder"]) / what["component"].split(".")[0], torch_dtype=self.dtype)
        self.module = wrapped(network).to(memory_format=torch.channels_last)
        if what["compiled"]:
            torch._inductor.config.freezing = True
            self.module = torch.compile(self.module)
        about = {"torch": torch.__version__, "diffusers": diffusers.__version__, "threads": what["threads"]}
        return {"loadMs": (time.perf_counter() - started) * 1e3, "about": about}

    def tensors(self, call):
        made = {}
        for name, tensor in call.items():
            value = torch.from_numpy(numpy.frombuffer(base64.b64decode(tensor["data"]), STORED[tensor["dtype"]]).copy()).reshape(tensor["shape"])
            # What diffusers keeps in float32, timesteps, stays.
            made[name] = value.to(self.dtype) if value.is_floating_point() and name != "timestep" else value
        return made

    def run(self, call):
        with torch.inference_mode():
            return self.module(**call)

    def timed(self, call):
        started = time.perf_counter()
        output = self.run(call)
        return (time.perf_counter() - started) * 1e3, output

    def answer(self, question):
        if question["do"] == "load":
            return self.load(question)
        if question["do"] == "memory":
            if sys.platform != "linux":
                return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
            return int(re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.M).group(1)) * 1024
        calls = [self.tensors(call) for call in question["calls"]]
        if question["do"] == "output":
            ms, output = self.timed(calls[0])
            return {"ms": ms, "data": base64.b64encode(output.float().contiguous().numpy().tobytes()).decode()}
        return [self.timed(call)[0] for call in calls]


def main():
    out = sys.stdout
    sys.stdout = sys.stderr  # what libraries print is no answer
    peer = Peer()
    for line in sys.stdin:
        try:
            said = {"ok": peer.answer(json.loads(line))}
        except Exception as error:
            said = {"error": f"{type(error).__name__}: {error}"}
        out.write(json.dumps(said) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
