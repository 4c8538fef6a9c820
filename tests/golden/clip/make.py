"""Small CLIP text encoders of transformers with every tensor redrawn. Run: python tests/golden/clip/make.py"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch  # noqa: E402
import transformers  # noqa: E402
from golden import Goldens, redraw, run  # noqa: E402
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection  # noqa: E402

BASE = dict(vocab_size=99, hidden_size=32, intermediate_size=72, num_attention_heads=2, max_position_embeddings=13, pad_token_id=0,
            bos_token_id=97, eos_token_id=98, projection_dim=12)
CASES = {
    "plain": (CLIPTextModel, {**BASE, "num_hidden_layers": 3, "hidden_act": "quick_gelu"}, 1),
    # Old configs say that the end of text is 2: the highest id is taken.
    "legacy-eos": (CLIPTextModel, {**BASE, "num_hidden_layers": 2, "hidden_act": "gelu", "eos_token_id": 2, "layer_norm_eps": 1e-3}, 2),
    "projection": (CLIPTextModelWithProjection, {**BASE, "num_hidden_layers": 2, "hidden_act": "gelu"}, 3),
    # Shorter than the table of positions, padding masked.
    "masked": (CLIPTextModel, {**BASE, "num_hidden_layers": 2, "hidden_act": "quick_gelu"}, 4),
}


def call(model, inputs):
    out = model(input_ids=inputs["input_ids"], attention_mask=inputs.get("attention_mask"), output_hidden_states=True)
    made = {"last_hidden_state": out.last_hidden_state, "hidden_states.-2": out.hidden_states[-2], "hidden_states.0": out.hidden_states[0]}
    made |= {"hidden_states.-1": out.hidden_states[-1]}
    # What diffusers' clip_skip makes of an earlier state.
    made |= {"normed_hidden_states.-2": getattr(model, "text_model", model).final_layer_norm(out.hidden_states[-2])}
    for name in ("pooler_output", "text_embeds"):
        if out.get(name) is not None:
            made[name] = out[name]
    if "text_embeds" in made:  # its class gives no pooled vector of its own
        made.pop("pooler_output", None)
    return made


goldens = Goldens(__file__)
for case, (cls, config, seed) in CASES.items():
    model = redraw(cls(CLIPTextConfig(**config)), seed)
    length = 9 if case == "masked" else config["max_position_embeddings"]
    generator = torch.Generator().manual_seed(seed + 100)
    ids = torch.randint(3, 97, (3, length), generator=generator)
    ids[:, 0] = 97
    for row, end in enumerate((length - 1, 3, 6)):
        ids[row, end] = 98
        ids[row, end + 1:] = 98 if case == "plain" else 0
    inputs = {"input_ids": ids}
    if case == "masked":
        inputs["attention_mask"] = (torch.arange(length)[None] <= torch.tensor([length - 1, 3, 6])[:, None]).long()
    outputs, errors = run(model, call, inputs)
    model.save_pretrained(goldens.path(case) / "text_encoder")
    goldens.add(case, "text_encoder", inputs, outputs, errors, seed)
goldens.finish(transformers=transformers.__version__)
