"""Writes the trained model as a plain diffusers folder, with upscaler, labels and notices beside it."""

import argparse
import json
import os
import shutil

import torch
from diffusers import DPMSolverMultistepScheduler
from transformers import PreTrainedTokenizerFast

from captions import HERE, LANGUAGES
from check_model import compare
from model import MAX_TOKENS, SCALING_FACTOR, make_text_encoder, make_transformer
from taesd import SHIPPED, load_taesd

ROOT = os.path.dirname(HERE)
SCHEDULER = {"num_train_timesteps": 1000, "prediction_type": "flow_prediction", "use_flow_sigmas": True,
             "flow_shift": 1.0, "solver_order": 2, "algorithm_type": "dpmsolver++", "solver_type": "midpoint",
             "lower_order_final": True, "final_sigmas_type": "zero"}
UPSCALER = {"_class_name": "SRVGGNetCompact", "num_in_ch": 3, "num_out_ch": 3, "num_feat": 64, "num_conv": 16,
            "upscale": 4, "act_type": "prelu"}
DEFAULTS = {"steps": 8, "guidance": 2.5, "width": 64, "height": 64, "maxSequenceLength": MAX_TOKENS,
            "upscaler": "upscaler", "labels": "labels.json", "languages": list(LANGUAGES)}
INDEX = {"_class_name": "PixArtAlphaPipeline", "_diffusers_version": "0.42.1",
         "scheduler": ["diffusers", "DPMSolverMultistepScheduler"], "text_encoder": ["transformers", "CLIPTextModel"],
         "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
         "transformer": ["diffusers", "PixArtTransformer2DModel"], "vae": ["diffusers", "AutoencoderTiny"]}


def write_json(path, value, compact=False):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, ensure_ascii=False, **({"separators": (",", ":")} if compact else {"indent": 2}))
        f.write("\n")


def edit_json(path, **changes):
    with open(path, encoding="utf-8") as f:
        value = json.load(f)
    value.update(changes)
    write_json(path, {k: v for k, v in value.items() if v is not None})


def save_networks(checkpoint, out):
    """Both trained networks in float16; configs say float32 so that libraries compute in float32 unless asked."""
    transformer, text_encoder = make_transformer(), make_text_encoder(checkpoint["vocabulary"])
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


def save_labels(data, path):
    """Per item its code point and, per language, the label first and then every other caption it was trained on."""
    rows = []
    for item, captions in zip(data["items"], data["captions"]):
        row = {"codepoint": item["codepoint"]}
        for g in LANGUAGES:
            own = [c for lang, c, _, kind in captions if lang == g and kind != "emoji"]
            row[g] = [item[g]["label"], *(c for c in own if c != item[g]["label"].lower())]
        rows.append(row)
    write_json(path, {"items": rows}, compact=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", default=os.path.join(HERE, "runs", "emoji"))
    parser.add_argument("--data", default=os.path.join(HERE, "runs", "data"))
    parser.add_argument("--vae", default=SHIPPED, help="folder with the autoencoder, as exported or as published")
    parser.add_argument("--upscaler", default=os.path.join(ROOT, "models", "emoji", "upscaler", "model.safetensors"),
                        help="realesr-animevideov3-x4.safetensors")
    parser.add_argument("--out", default=os.path.join(ROOT, "models", "emoji"))
    args = parser.parse_args()
    out = args.out + ".new"
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(os.path.join(out, "upscaler"))
    checkpoint = torch.load(os.path.join(args.run, "checkpoint.pt"))
    save_networks(checkpoint, out)
    save_tokenizer(os.path.join(args.data, "tokenizer.json"), out)
    load_taesd(args.vae, SCALING_FACTOR).bfloat16().save_pretrained(os.path.join(out, "vae"))
    edit_json(os.path.join(out, "vae", "config.json"), block_out_channels=None)  # the class sets it itself
    DPMSolverMultistepScheduler(**SCHEDULER).save_pretrained(os.path.join(out, "scheduler"))
    shutil.copyfile(args.upscaler, os.path.join(out, "upscaler", "model.safetensors"))
    write_json(os.path.join(out, "upscaler", "config.json"), UPSCALER)
    write_json(os.path.join(out, "model_index.json"), INDEX)
    write_json(os.path.join(out, "irodori.json"), DEFAULTS)
    with open(os.path.join(args.data, "captions.json"), encoding="utf-8") as f:
        save_labels(json.load(f), os.path.join(out, "labels.json"))
    shutil.copytree(os.path.join(HERE, "card"), out, dirs_exist_ok=True)
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
