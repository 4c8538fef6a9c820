"""Trains denoiser and text encoder together by flow matching; stops when a budget of minutes is used up, and goes on later.

The text encoder first learns alone, for `--words` minutes, to agree with a sentence encoder (teacher.py), and goes on
agreeing while both are trained. On the CPU two processes share a batch; a GPU takes whole ones (gpu.py).
"""

import argparse
import os

import torch

import cpu
import gpu
from files import read_json
from networks import Shape, make_text_encoder, make_transformer
from optim import Muon
from paths import RUNS


def place_of(name, times):
    """Where a denoiser `times` as deep keeps a parameter; the blocks between start closed, so that it computes the same."""
    head, blocks, tail = name.partition("transformer_blocks.")
    index, dot, rest = tail.partition(".")
    return f"{head}{blocks}{times * int(index)}{dot}{rest}" if blocks else name


def load(path):
    return torch.load(path, map_location="cpu")


def resume(adamw, state, device, options):
    """Loads what another run of any device kept."""
    adamw.load_state_dict(state)
    for group in adamw.param_groups:
        group.update(options)
    for own in adamw.state.values():
        own["step"] = own["step"].to(device)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.path.join(RUNS, "data"))
    parser.add_argument("--run", default=os.path.join(RUNS, "emoji"))
    parser.add_argument("--minutes", type=float, default=300, help="trained time in all, over every resume")
    parser.add_argument("--steps", type=int, help="stop after so many steps in all, whatever the time")
    parser.add_argument("--words", type=float, default=0, help="minutes at the start in which only words are learnt")
    parser.add_argument("--lessons", type=int, default=0, help="texts a batch with the teacher's vectors; needs teacher.pt")
    parser.add_argument("--size", type=int, default=64, help="pixels of the pictures whose latents are trained on")
    parser.add_argument("--start", help="checkpoint whose weights a new run starts from, of smaller pictures or of half the depth")
    parser.add_argument("--mask", type=float, default=0.0, help="share of patches that the blocks after --mixing do not see")
    parser.add_argument("--mixing", type=int, default=2, help="blocks that see every patch when some are masked")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--text-layers", type=int, default=3)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--shift", type=float, default=3.0,
                        help="of uniform noise levels towards noise, as in Esser et al. 2024, equation 23; 1: uniform")
    parser.add_argument("--optimizer", choices=["muon", "adamw"], default="muon")
    parser.add_argument("--lr", type=float, default=1e-3, help="of AdamW")
    parser.add_argument("--muon-lr", type=float, default=0.02)
    parser.add_argument("--flat", type=float, default=0.5, help="share of the time before the learning rate falls")
    parser.add_argument("--rate", type=float, default=1.0, help="times both learning rates; above 1 to go on near the end")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--processes", type=int, help="of one thread each: they share a batch (2), or draw batches for a GPU "
                        "(as many as there are cores)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    trainer = gpu if args.device == "cuda" else cpu
    args.processes = args.processes or trainer.PROCESSES
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    os.makedirs(args.run, exist_ok=True)
    vocabulary = len(read_json(args.data, "tokenizer.json")["model"]["vocab"])
    shape = Shape(vocabulary, args.width, args.heads, args.layers, args.text_layers, args.size // 8)
    saved = os.path.join(args.run, "checkpoint.pt")
    old = load(saved) if os.path.exists(saved) else None
    modules = {"transformer": make_transformer(shape), "text_encoder": make_text_encoder(shape),
               "pupil": torch.nn.Linear(shape.width, 384, bias=False)}
    for module in modules.values():
        module.to(args.device)
    named = {f"{m}.{k}": p for m, module in modules.items() for k, p in module.named_parameters()}
    begun = old or (load(args.start) if args.start else None)
    if begun:
        times, rest = divmod(shape.layers, begun["shape"]["layers"])
        assert not rest, f"--layers: expected a multiple of {begun['shape']['layers']}, got {shape.layers}"
        with torch.no_grad():
            for k, p in begun["weights" if old else "ema"].items():
                named[place_of(k, times)].copy_(p)
    inner = {k for k, p in named.items() if args.optimizer == "muon" and p.ndim == 2 and k.endswith("weight")
             and ("transformer_blocks" in k or "encoder.layers" in k)}
    muon = Muon([named[k] for k in named if k in inner], lr=args.muon_lr)
    adamw = torch.optim.AdamW([p for k, p in named.items() if k not in inner], betas=(0.9, 0.98), weight_decay=0.01,
                              **trainer.adamw_options(args.lr))
    if old:
        resume(adamw, old["adamw"], args.device, trainer.adamw_options(args.lr))
        muon.load_state_dict(old["muon"])
    print("parameters", sum(p.numel() for p in named.values()), "of them Muon's", sum(named[k].numel() for k in inner),
          shape, flush=True)
    trainer.train(args, shape, modules, named, muon, adamw, old)


if __name__ == "__main__":
    main()
