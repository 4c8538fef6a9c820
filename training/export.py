"""Writes the trained model as a plain diffusers folder, with upscaler, labels and styles beside it."""

import argparse
import os
import shutil

import torch
from diffusers import DPMSolverMultistepScheduler
from transformers import PreTrainedTokenizerFast

from card import sources
from check_model import compare
from files import read_json, read_lines, read_styles, write_json
from networks import MAX_TOKENS, Shape, make_text_encoder, make_transformer
from paths import HERE, MODEL, RUNS
from taesd import SCALING_FACTOR, load_taesd

SCHEDULER = {"num_train_timesteps": 1000, "prediction_type": "flow_prediction", "use_flow_sigmas": True,
             "solver_order": 2, "algorithm_type": "dpmsolver++", "solver_type": "midpoint",
             "lower_order_final": True, "final_sigmas_type": "zero"}
UPSCALER = {"_class_name": "SRVGGNetCompact", "num_in_ch": 3, "num_out_ch": 3, "num_feat": 64, "num_conv": 16,
            "upscale": 4, "act_type": "prelu"}
INDEX = {"_class_name": "PixArtAlphaPipeline", "_diffusers_version": "0.42.1",
         "scheduler": ["diffusers", "DPMSolverMultistepScheduler"], "text_encoder": ["transformers", "CLIPTextModel"],
         "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
         "transformer": ["diffusers", "PixArtTransformer2DModel"], "vae": ["diffusers", "AutoencoderTiny"]}
LABELLED = ("label", "variant", "tag", "synonym", "narrower")  # kinds of caption that name a thing


def edit_json(path, **changes):
    value = read_json(path)
    value.update(changes)
    write_json(path, {k: v for k, v in value.items() if v is not None})


def save_networks(checkpoint, out):
    """Both trained networks in float16; configs say float32 so that libraries compute in float32 unless asked."""
    shape = Shape(**checkpoint["shape"])
    transformer, text_encoder = make_transformer(shape), make_text_encoder(shape)
    for prefix, module in (("transformer.", transformer), ("text_encoder.", text_encoder)):
        with torch.no_grad():
            for name, p in module.named_parameters():
                p.copy_(checkpoint["ema"][prefix + name])
    differences = compare(transformer, text_encoder)
    print("differences from the library classes: text %.1e, denoiser %.1e" % differences)
    assert max(differences) < 1e-5
    transformer.half().save_pretrained(os.path.join(out, "transformer"))
    text_encoder.half().save_pretrained(os.path.join(out, "text_encoder"))
    edit_json(os.path.join(out, "text_encoder", "config.json"), dtype="float32")


def save_tokenizer(path, out):
    folder = os.path.join(out, "tokenizer")
    special = {"bos_token": "[BOS]", "eos_token": "[EOS]", "pad_token": "[PAD]", "unk_token": "[UNK]"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=path, model_max_length=MAX_TOKENS, padding_side="right",
                                        truncation_side="right", model_input_names=["input_ids", "attention_mask"],
                                        **special)
    tokenizer.save_pretrained(folder)
    write_json(os.path.join(folder, "special_tokens_map.json"), special)
    edit_json(os.path.join(folder, "tokenizer_config.json"), tokenizer_class="PreTrainedTokenizerFast")


def save_labels(rows, path):
    """Per item its emoji, and by language its label first and then every other caption; without colours and pairs."""
    items = {}
    for row in rows:
        if row.get("heldOut"):
            continue
        own = items.setdefault(row["item"], {})
        for g, captions in row["captions"].items():
            own.setdefault(g, {}).update({c: None for c, _, kind in captions if kind in LABELLED})
            own["emoji"] = own.get("emoji") or next((c for c, _, kind in captions if kind == "emoji"), None)
    languages = sorted({g for own in items.values() for g in own} - {"emoji"})
    kept = [own for own in items.values() if all(own.get(g) for g in languages)]
    write_json(path, {"items": [({"emoji": own["emoji"]} if own["emoji"] else {}) | {g: list(own[g]) for g in languages}
                                for own in kept]}, compact=True)
    return languages


def style_settings(data):
    """What a picture can be asked to look like: by name, the words that say so, and how a prompt is put with them."""
    styles = read_styles(data)
    if styles is None:
        return {}
    languages = list(styles["forms"])
    return {"styles": {"default": styles["styles"][styles["default"]]["name"],
                       "forms": {g: styles["forms"][g][0].replace("{caption}", "{prompt}") for g in languages},
                       "words": {s["name"]: {g: s[g][0] for g in languages} for s in styles["styles"].values()}}}


def provenance(data, checkpoint):
    """What is known before the model is scored; card.py knows more."""
    return {"sources": sources(read_json(data, "report.json")),
            "training": {"hours": round(checkpoint["seconds"] / 3600, 2), "steps": checkpoint["step"],
                         "pictures": checkpoint["pictures"]}}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", default=os.path.join(RUNS, "emoji"))
    parser.add_argument("--data", default=os.path.join(RUNS, "data"))
    parser.add_argument("--vae", default=os.path.join(MODEL, "vae"), help="autoencoder, as exported, as decoder.py wrote it or as published")
    parser.add_argument("--upscaler", default=os.path.join(MODEL, "upscaler", "model.safetensors"),
                        help="realesr-animevideov3-x4.safetensors, or another with its config.json")
    parser.add_argument("--card", default=os.path.join(HERE, "card"), help="folder with notices that go along")
    parser.add_argument("--guidance", type=float, default=4.0, help="default of the model; evaluate.py tells what is best")
    parser.add_argument("--flow-shift", type=float, default=2.0, help="of sampling's noise levels; the same")
    parser.add_argument("--out", default=MODEL)
    args = parser.parse_args()
    out = args.out + ".new"
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(os.path.join(out, "upscaler"))
    checkpoint = torch.load(os.path.join(args.run, "checkpoint.pt"))
    save_networks(checkpoint, out)
    save_tokenizer(os.path.join(args.data, "tokenizer.json"), out)
    load_taesd(args.vae, SCALING_FACTOR).bfloat16().save_pretrained(os.path.join(out, "vae"))
    edit_json(os.path.join(out, "vae", "config.json"), block_out_channels=None)  # the class sets it itself
    DPMSolverMultistepScheduler(**SCHEDULER, flow_shift=args.flow_shift).save_pretrained(os.path.join(out, "scheduler"))
    shutil.copyfile(args.upscaler, os.path.join(out, "upscaler", "model.safetensors"))
    beside = os.path.join(os.path.dirname(args.upscaler), "config.json")
    write_json(os.path.join(out, "upscaler", "config.json"), read_json(beside) if os.path.exists(beside) else UPSCALER)
    write_json(os.path.join(out, "model_index.json"), INDEX)
    languages = save_labels(read_lines(args.data, "rows.jsonl"), os.path.join(out, "labels.json"))
    side = 8 * checkpoint["shape"]["latent"]
    write_json(os.path.join(out, "irodori.json"),
               {"steps": 8, "guidance": args.guidance, "width": side, "height": side, "maxSequenceLength": MAX_TOKENS,
                "upscaler": "upscaler", "labels": "labels.json", "languages": languages, **style_settings(args.data),
                "provenance": provenance(args.data, checkpoint)})
    shutil.copytree(args.card, out, dirs_exist_ok=True)
    for folder, _, files in os.walk(out):
        for name in files:
            os.chmod(os.path.join(folder, name), 0o644)
    if os.path.exists(args.out):
        os.rename(args.out, args.out + ".old")
    os.rename(out, args.out)
    shutil.rmtree(args.out + ".old", ignore_errors=True)
    size = sum(os.path.getsize(os.path.join(d, f)) for d, _, files in os.walk(args.out) for f in files)
    print(f"{args.out}: {size / 1e6:.1f} MB after {checkpoint['step']} steps, {checkpoint['pictures']} pictures")


if __name__ == "__main__":
    main()
