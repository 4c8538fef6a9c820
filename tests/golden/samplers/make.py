"""Makes the goldens of the samplers: runs diffusers' schedulers on an analytic network and PyTorch's CPU generator.

    python tests/golden/samplers/make.py

needs torch, diffusers, numpy and scipy, writes schedulers.json, solvers.json, torchRandom.json and MANIFEST.json beside
itself. schedulers.json has one case for every peculiarity; solvers.json has every sampler with every placing that
diffusers has for it, ten steps each. What is kept of each evaluation is the network's input after `scale_model_input`, that is x = alpha x0 + sigma noise, and its timestep.
"""

import base64
import hashlib
import json
import pathlib
import platform

import diffusers
import numpy as np
import scipy
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DEISMultistepScheduler,
    DPMSolverMultistepScheduler,
    DPMSolverSinglestepScheduler,
    EDMDPMSolverMultistepScheduler,
    EDMEulerScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    FlowMatchLCMScheduler,
    HeunDiscreteScheduler,
    KDPM2AncestralDiscreteScheduler,
    KDPM2DiscreteScheduler,
    LCMScheduler,
    LMSDiscreteScheduler,
    PNDMScheduler,
    TCDScheduler,
    UniPCMultistepScheduler,
)
from diffusers.schedulers.scheduling_utils import AysSchedules

HERE = pathlib.Path(__file__).parent
SHAPE = (1, 4, 4, 4)
SEED = 20240607

# The analytic network: out_i = p x_i + q sin(2 x_i + i) + 0.1 cos(0.003 t + 0.7 i), float64, rounded to float32.
NETWORK = {
    "epsilon": (0.95, 0.1),
    "v_prediction": (0.0, 0.4),
    "sample": (0.3, 0.3),
    "flow": (0.8, 0.3),
    "edm": (0.3, 0.3),
    "edm_v": (-0.3, -0.3),
}

SD = dict(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
SD_DDIM = dict(**SD, clip_sample=False, set_alpha_to_one=False, steps_offset=1)
SD_V0 = dict(**SD, prediction_type="v_prediction", rescale_betas_zero_snr=True, timestep_spacing="trailing")
COSINE = dict(beta_schedule="squaredcos_cap_v2")
FLUX_10 = [1 - i / 10 for i in range(10)]

FLOW = dict(use_flow_sigmas=True, prediction_type="flow_prediction")
PLMS = dict(**SD, skip_prk_steps=True, steps_offset=1)
SDE = dict(**SD, algorithm_type="sde-dpmsolver++")

# name: (class, config, steps, extra arguments of set_timesteps, extra arguments of step, strength)
CASES = {
    "ddim leading": (DDIMScheduler, SD_DDIM, 10),
    "ddim leading linear sample": (DDIMScheduler, dict(clip_sample=False, prediction_type="sample"), 20),
    "ddim trailing v zero-snr": (DDIMScheduler, dict(**SD_V0, clip_sample=False), 10),
    "ddim eta": (DDIMScheduler, SD_DDIM, 8, {}, {"eta": 0.7}),
    "ddim eta 1 linear": (DDIMScheduler, dict(clip_sample=False), 20, {}, {"eta": 1.0}),
    "ddim strength": (DDIMScheduler, SD_DDIM, 10, {}, {}, 0.6),
    "euler linspace": (EulerDiscreteScheduler, SD, 10),
    "euler linspace 1": (EulerDiscreteScheduler, SD, 1),
    "euler leading": (EulerDiscreteScheduler, dict(**SD, timestep_spacing="leading", steps_offset=1), 7),
    "euler trailing v zero-snr": (EulerDiscreteScheduler, SD_V0, 6),
    "euler karras": (EulerDiscreteScheduler, dict(**SD, use_karras_sigmas=True), 8),
    "euler karras limits": (
        EulerDiscreteScheduler,
        dict(**SD, use_karras_sigmas=True, sigma_min=0.1, sigma_max=10.0, timestep_spacing="trailing"),
        8,
    ),
    "euler exponential sigma_min": (
        EulerDiscreteScheduler,
        dict(**SD, use_exponential_sigmas=True, final_sigmas_type="sigma_min"),
        7,
    ),
    "euler strength": (EulerDiscreteScheduler, SD, 10, {}, {}, 0.75),
    "eulerAncestral linspace": (EulerAncestralDiscreteScheduler, SD, 9),
    "eulerAncestral trailing v": (
        EulerAncestralDiscreteScheduler,
        dict(**SD, prediction_type="v_prediction", timestep_spacing="trailing"),
        4,
    ),
    "eulerAncestral leading zero-snr": (
        EulerAncestralDiscreteScheduler,
        dict(**SD, prediction_type="v_prediction", timestep_spacing="leading", rescale_betas_zero_snr=True),
        5,
    ),
    "heun linspace": (HeunDiscreteScheduler, SD, 6),
    "heun karras sample": (HeunDiscreteScheduler, dict(**SD, use_karras_sigmas=True, prediction_type="sample"), 6),
    "heun leading cosine": (
        HeunDiscreteScheduler,
        dict(**COSINE, timestep_spacing="leading", steps_offset=1, prediction_type="v_prediction"),
        5,
    ),
    "heun exponential": (HeunDiscreteScheduler, dict(**SD, use_exponential_sigmas=True), 5),
    "dpmpp2m linear": (DPMSolverMultistepScheduler, {}, 10),
    "dpmpp2m linear 20": (DPMSolverMultistepScheduler, {}, 20),
    "dpmpp2m 1": (DPMSolverMultistepScheduler, SD, 1),
    "dpmpp2m karras": (DPMSolverMultistepScheduler, dict(**SD, use_karras_sigmas=True), 10),
    "dpmpp2m exponential": (DPMSolverMultistepScheduler, dict(**SD, use_exponential_sigmas=True), 9),
    "dpmpp2m lu": (DPMSolverMultistepScheduler, dict(**SD, use_lu_lambdas=True), 8),
    "dpmpp2m leading": (
        DPMSolverMultistepScheduler,
        dict(**SD, timestep_spacing="leading", steps_offset=1),
        10,
    ),
    "dpmpp2m trailing v zero-snr": (DPMSolverMultistepScheduler, SD_V0, 7),
    "dpmpp2m cosine clipped": (
        DPMSolverMultistepScheduler,
        dict(**COSINE, lambda_min_clipped=-5.1, prediction_type="v_prediction"),
        10,
    ),
    "dpmpp2m cosine karras": (
        DPMSolverMultistepScheduler,
        dict(**COSINE, use_karras_sigmas=True, prediction_type="v_prediction"),
        6,
    ),
    "dpmpp2m sigma_min 16": (DPMSolverMultistepScheduler, dict(**SD, final_sigmas_type="sigma_min"), 16),
    "dpmpp2m sigma_min euler last": (
        DPMSolverMultistepScheduler,
        dict(**SD, final_sigmas_type="sigma_min", euler_at_final=True, lower_order_final=False),
        16,
    ),
    "dpmpp2m sigma_min few": (
        DPMSolverMultistepScheduler,
        dict(**SD, final_sigmas_type="sigma_min", lower_order_final=False),
        6,
    ),
    "dpmpp2m strength": (DPMSolverMultistepScheduler, SD, 18, {}, {}, 0.5),
    "dpmpp2m flow": (
        DPMSolverMultistepScheduler,
        dict(use_flow_sigmas=True, flow_shift=3.0, prediction_type="flow_prediction"),
        10,
    ),
    "lcm 4": (LCMScheduler, {}, 4),
    "lcm 1": (LCMScheduler, {}, 1),
    "lcm 6 v": (LCMScheduler, dict(prediction_type="v_prediction", original_inference_steps=40), 6),
    "lcm strength": (LCMScheduler, {}, 3, {"strength": 0.5}),
    "flow euler": (FlowMatchEulerDiscreteScheduler, {}, 4),
    "flow euler shift": (FlowMatchEulerDiscreteScheduler, dict(shift=3.0), 10),
    "flow euler 1": (FlowMatchEulerDiscreteScheduler, dict(shift=3.0), 1),
    "flow euler dynamic": (FlowMatchEulerDiscreteScheduler, dict(use_dynamic_shifting=True), 8, {"mu": 0.63}),
    "flow euler dynamic sigmas": (
        FlowMatchEulerDiscreteScheduler,
        dict(use_dynamic_shifting=True, shift=3.0),
        10,
        {"mu": 1.15, "sigmas": FLUX_10},
    ),
    "flow euler linear terminal": (
        FlowMatchEulerDiscreteScheduler,
        dict(use_dynamic_shifting=True, time_shift_type="linear", shift_terminal=0.1),
        6,
        {"mu": 1.7},
    ),
    "flow euler karras": (FlowMatchEulerDiscreteScheduler, dict(shift=3.0, use_karras_sigmas=True), 6),
    "flow euler strength": (FlowMatchEulerDiscreteScheduler, dict(shift=3.0), 10, {}, {}, 0.75),
    "flow heun": (FlowMatchHeunDiscreteScheduler, dict(shift=3.0), 6),
    "flow euler beta": (FlowMatchEulerDiscreteScheduler, dict(shift=3.0, use_beta_sigmas=True), 6),
    "flow euler exponential": (FlowMatchEulerDiscreteScheduler, dict(shift=2.0, use_exponential_sigmas=True), 6),
    "flow euler stochastic": (FlowMatchEulerDiscreteScheduler, dict(shift=3.0, stochastic_sampling=True), 6),
    "flow lcm": (FlowMatchLCMScheduler, dict(shift=3.0), 5),
    "ddpm large": (DDPMScheduler, dict(clip_sample=False, variance_type="fixed_large"), 8),
    "ddpm sigmoid": (DDPMScheduler, dict(clip_sample=False, beta_schedule="sigmoid"), 6),
    "ddpm laplace log": (
        DDPMScheduler,
        dict(clip_sample=False, beta_schedule="laplace", variance_type="fixed_small_log", prediction_type="sample"),
        6,
    ),
    "ddpm zero-snr v": (DDPMScheduler, dict(**SD_V0, clip_sample=False), 6),
    "heun exp": (HeunDiscreteScheduler, dict(beta_schedule="exp", prediction_type="v_prediction"), 5),
    "pndm 1": (PNDMScheduler, PLMS, 1),
    "pndm 2": (PNDMScheduler, PLMS, 2),
    "pndm v alpha to one": (PNDMScheduler, dict(**PLMS, prediction_type="v_prediction", set_alpha_to_one=True), 10),
    "euler continuous v": (
        EulerDiscreteScheduler,
        dict(
            **SD,
            prediction_type="v_prediction",
            timestep_type="continuous",
            use_karras_sigmas=True,
            sigma_min=0.002,
            sigma_max=700.0,
        ),
        6,
    ),
    "euler ays": (EulerDiscreteScheduler, SD, 10, {"ays": "StableDiffusionSigmas"}),
    "euler ays sdxl": (EulerDiscreteScheduler, SD, 10, {"ays": "StableDiffusionXLSigmas"}),
    "ddim of first order": (DPMSolverMultistepScheduler, dict(**SD, solver_order=1), 6),
    "ddim of first order stochastic": (DPMSolverMultistepScheduler, dict(**SDE, solver_order=1), 6),
    "dpmpp2m heun 16": (DPMSolverMultistepScheduler, dict(**SD, solver_type="heun", final_sigmas_type="sigma_min"), 16),
    "dpmpp2mSde heun": (DPMSolverMultistepScheduler, dict(**SDE, solver_type="heun"), 8),
    "dpmpp2mSde sigma_min zero-snr": (
        DPMSolverMultistepScheduler,
        dict(**SD_V0, algorithm_type="sde-dpmsolver++", final_sigmas_type="sigma_min"),
        6,
    ),
    "dpmpp3m 16": (DPMSolverMultistepScheduler, dict(**SD, solver_order=3), 16),
    "dpmpp3m heun sigma_min": (
        DPMSolverMultistepScheduler,
        dict(**SD, solver_order=3, solver_type="heun", final_sigmas_type="sigma_min"),
        16,
    ),
    "dpmpp3m flow": (DPMSolverMultistepScheduler, dict(**FLOW, flow_shift=2.0, solver_order=3), 8),
    "dpmpp2s odd": (DPMSolverSinglestepScheduler, SD, 7),
    "dpmpp2s heun sigma_min": (
        DPMSolverSinglestepScheduler,
        dict(**SD, solver_type="heun", final_sigmas_type="sigma_min"),
        8,
    ),
    "dpmpp2s lower sigma_min": (
        DPMSolverSinglestepScheduler,
        dict(**SD, lower_order_final=True, final_sigmas_type="sigma_min"),
        8,
    ),
    "dpmpp2s flow": (DPMSolverSinglestepScheduler, dict(**FLOW, flow_shift=2.0), 6),
    "unipc bh1": (UniPCMultistepScheduler, dict(**SD, solver_type="bh1", final_sigmas_type="sigma_min"), 8),
    "unipc 3": (UniPCMultistepScheduler, dict(**SD, solver_order=3), 10),
    "unipc 3 bh1 sigma_min": (
        UniPCMultistepScheduler,
        dict(**SD, solver_order=3, solver_type="bh1", final_sigmas_type="sigma_min", lower_order_final=False),
        8,
    ),
    "unipc karras sigma_min limits": (
        UniPCMultistepScheduler,
        dict(**SD, use_karras_sigmas=True, final_sigmas_type="sigma_min", sigma_min=0.1, sigma_max=10.0),
        8,
    ),
    "unipc zero-snr v": (UniPCMultistepScheduler, SD_V0, 8),
    "unipc strength": (UniPCMultistepScheduler, SD, 10, {}, {}, 0.6),
    "unipc flow": (UniPCMultistepScheduler, dict(**FLOW, flow_shift=3.0), 8),
    "unipc flow dynamic terminal": (
        UniPCMultistepScheduler,
        dict(**FLOW, use_dynamic_shifting=True, shift_terminal=0.1, final_sigmas_type="sigma_min"),
        8,
        {"mu": 0.8},
    ),
    "deis 3": (DEISMultistepScheduler, dict(**SD, solver_order=3), 16),
    "deis flow": (DEISMultistepScheduler, dict(**FLOW, flow_shift=3.0), 8),
    "lms leading v": (
        LMSDiscreteScheduler,
        dict(**SD, timestep_spacing="leading", steps_offset=1, prediction_type="v_prediction"),
        7,
    ),
    "tcd 4": (TCDScheduler, {}, 4),
    "tcd 1": (TCDScheduler, {}, 1),
    "tcd eta 0": (TCDScheduler, {}, 4, {}, {"eta": 0.0}),
    "tcd eta 1 v": (TCDScheduler, dict(prediction_type="v_prediction"), 5, {}, {"eta": 1.0}),
    "tcd strength": (TCDScheduler, {}, 3, {"strength": 0.5}, {"eta": 0.5}),
    "edm euler": (EDMEulerScheduler, {}, 8),
    "edm euler exponential": (EDMEulerScheduler, dict(sigma_schedule="exponential", sigma_data=0.9, sigma_max=50.0), 6),
    "edm dpmpp2m v": (EDMDPMSolverMultistepScheduler, dict(prediction_type="v_prediction"), 8),
    "edm dpmpp3m repeated end": (
        EDMDPMSolverMultistepScheduler,
        dict(solver_order=3, final_sigmas_type="sigma_min", rho=5.0),
        16,
    ),
    "edm dpmpp2mSde": (EDMDPMSolverMultistepScheduler, dict(algorithm_type="sde-dpmsolver++"), 6),
}

SPACINGS = {name: {"timestep_spacing": name} for name in ("linspace", "leading", "trailing")}
CURVES = {name: {f"use_{name}_sigmas": True} for name in ("karras", "exponential", "beta")}
LU = {"lu": {"use_lu_lambdas": True}}

# name: (class, config, placings); what PNDM does with uneven timesteps is a mistake, see scheduleFromConfig.
SOLVERS = {
    "ddim": (DDIMScheduler, SD_DDIM, {k: v for k, v in SPACINGS.items() if k != "linspace"}),
    "ddpm": (DDPMScheduler, dict(**SD, clip_sample=False), SPACINGS),
    "pndm": (PNDMScheduler, PLMS, {k: v for k, v in SPACINGS.items() if k != "linspace"}),
    "euler": (EulerDiscreteScheduler, SD, SPACINGS | CURVES),
    "eulerAncestral": (EulerAncestralDiscreteScheduler, SD, SPACINGS),
    "heun": (HeunDiscreteScheduler, SD, SPACINGS | CURVES),
    "lms": (LMSDiscreteScheduler, SD, SPACINGS | CURVES),
    "dpm2": (KDPM2DiscreteScheduler, SD, SPACINGS | CURVES),
    "dpm2Ancestral": (KDPM2AncestralDiscreteScheduler, SD, SPACINGS | CURVES),
    "dpmpp2m": (DPMSolverMultistepScheduler, SD, SPACINGS | CURVES | LU),
    "dpmpp3m": (DPMSolverMultistepScheduler, dict(**SD, solver_order=3), SPACINGS | CURVES | LU),
    "dpmpp2mSde": (DPMSolverMultistepScheduler, SDE, SPACINGS | CURVES | LU),
    "dpmpp2s": (DPMSolverSinglestepScheduler, SD, {"linspace": {}} | CURVES),
    "unipc": (UniPCMultistepScheduler, SD, SPACINGS | CURVES),
    "deis": (DEISMultistepScheduler, SD, SPACINGS | CURVES),
}
SOLVER_CASES = {
    f"{name} {placing}": (cls, config | setting, 10)
    for name, (cls, config, placings) in SOLVERS.items()
    for placing, setting in placings.items()
}

STOCHASTIC = (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EDMDPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchLCMScheduler,
    KDPM2AncestralDiscreteScheduler,
    LCMScheduler,
    TCDScheduler,
)


def encode(values) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode()


def network(kind: str, x: torch.Tensor, t: float) -> torch.Tensor:
    p, q = NETWORK[kind]
    x = x.double().flatten()
    i = torch.arange(x.numel(), dtype=torch.float64)
    out = p * x + q * torch.sin(2 * x + i) + 0.1 * torch.cos(0.003 * t + 0.7 * i)
    return out.float().reshape(SHAPE)


def run(cls, config, steps, timestep_args=None, step_args=None, strength=1.0):
    timestep_args, step_args = timestep_args or {}, dict(step_args or {})
    scheduler = cls(**config)
    flow = cls.__name__.startswith("FlowMatch")
    grid = dict(timestep_args)
    strength = grid.get("strength", strength)
    aligned = grid.pop("ays", None)
    if aligned:
        grid["sigmas"] = AysSchedules[aligned]
    scheduler.set_timesteps(**({} if "sigmas" in grid else {"num_inference_steps": steps}), **grid)
    kind = "flow" if flow or config.get("use_flow_sigmas") else config.get("prediction_type", "epsilon")
    if cls.__name__.startswith("EDM"):
        kind = "edm_v" if kind == "v_prediction" else "edm"
    if cls in STOCHASTIC:
        step_args["generator"] = generator = torch.Generator("cpu").manual_seed(SEED)
    else:
        generator = torch.Generator("cpu").manual_seed(SEED)

    start = 0
    if strength < 1 and cls not in (LCMScheduler, TCDScheduler):
        start = int(steps - steps * strength) if flow else steps - int(steps * strength)
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(start)  # by index: looking timesteps up goes wrong where two are equal
    noise = torch.randn(SHAPE, generator=generator)
    if strength < 1:
        picture = torch.linspace(-1, 1, noise.numel()).reshape(SHAPE)
        t = scheduler.timesteps[start : start + 1]
        x = scheduler.scale_noise(picture, t, noise) if flow else scheduler.add_noise(picture, noise, t)
    else:
        x = noise * getattr(scheduler, "init_noise_sigma", 1.0)

    inputs, times = [], []
    for t in scheduler.timesteps[start:]:
        seen = x if flow else scheduler.scale_model_input(x, t)
        inputs.append(encode(seen))
        times.append(float(t))
        x = scheduler.step(network(kind, seen, float(t)), t, x, return_dict=False, **step_args)[0]
    if config.get("final_sigmas_type") == "sigma_min" and cls is EulerDiscreteScheduler:
        x = x / (scheduler.sigmas[-1] ** 2 + 1) ** 0.5  # diffusers leaves x / alpha
    return {
        "config": scheduler.to_json_string(),
        "steps": steps,
        "strength": strength,
        "eta": step_args.get("eta"),
        "mu": grid.get("mu"),
        "sigmas": None if aligned else grid.get("sigmas"),
        "schedule": {"StableDiffusionSigmas": "ays", "StableDiffusionXLSigmas": "aysSdxl"}.get(aligned),
        "network": kind,
        "timesteps": times,
        "inputs": inputs,
        "result": encode(x),
    }


def random_cases():
    cases = []
    for seed in (0, 1, 42, 2**32 - 1, 2**40 + 5):
        generator = torch.Generator("cpu").manual_seed(seed)
        for count in (1, 15, 16, 17, 3, 64, 1024, 4096 + 5, 2):
            data = np.ascontiguousarray(torch.randn(count, generator=generator).numpy(), dtype="<f4").tobytes()
            values = base64.b64encode(data).decode() if count <= 64 else None
            cases.append({"seed": seed, "count": count, "sha256": hashlib.sha256(data).hexdigest(), "values": values})
    return cases


def write(name: str, value) -> None:
    (HERE / name).write_text(json.dumps(value, indent=1) + "\n")


def main() -> None:
    write("schedulers.json", {name: run(*case) for name, case in CASES.items()})
    write("solvers.json", {name: run(*case) for name, case in SOLVER_CASES.items()})
    write("torchRandom.json", random_cases())
    digest = lambda name: hashlib.sha256((HERE / name).read_bytes()).hexdigest()
    write(
        "MANIFEST.json",
        {
            "script": "make.py",
            "versions": {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "diffusers": diffusers.__version__,
                "numpy": np.__version__,
                "scipy": scipy.__version__,
            },
            "capability": torch.backends.cpu.get_cpu_capability(),
            "seed": SEED,
            "shape": SHAPE[1:],
            "network": NETWORK,
            "tolerance": {
                "schedulers.json": 1e-4,
                "solvers.json": 1e-4,
                "why": "relative L2 of a latent: diffusers computes levels and steps in float32 (relative 6e-8 each, up to 40 "
                "evaluations, amplified where 1 - abar is small)",
                "torchRandom.json": 0,
            },
            "sha256": {name: digest(name) for name in ("schedulers.json", "solvers.json", "torchRandom.json")},
        },
    )


if __name__ == "__main__":
    main()
