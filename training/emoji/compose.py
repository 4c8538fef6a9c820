"""Pictures made from pictures: an item in another colour, two items side by side."""

import numpy as np
from PIL import Image

SIDE = 128
# Hue in degrees, factor of saturation, factor of brightness; None keeps the hue.
COLOURS = {"red": (2, 1.15, 0.95), "orange": (27, 1.2, 1.05), "yellow": (50, 1.15, 1.15), "green": (128, 1.0, 0.85),
           "blue": (214, 1.1, 0.95), "purple": (276, 1.0, 0.85), "pink": (334, 0.62, 1.12), "brown": (24, 0.9, 0.58),
           "black": (None, 0.25, 0.28), "white": (None, 0.06, 1.6)}
CHROMATIC = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown")


def to_hsv(rgb):
    """Hue in degrees, saturation and value in [0, 1], of colours in [0, 1]. Shape [..., 3]."""
    high, low = rgb.max(-1), rgb.min(-1)
    spread = high - low
    r, g, b = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    safe = np.where(spread == 0, 1, spread)
    hue = np.where(high == r, (g - b) / safe % 6, np.where(high == g, (b - r) / safe + 2, (r - g) / safe + 4))
    return np.stack([60 * np.where(spread == 0, 0, hue), np.where(high == 0, 0, spread / np.maximum(high, 1e-9)), high], -1)


def to_rgb(hsv):
    hue, s, v = hsv[..., 0] / 60, hsv[..., 1], hsv[..., 2]
    k = (np.array([5, 3, 1]) + hue[..., None]) % 6
    return v[..., None] * (1 - s[..., None] * np.clip(np.minimum(k, 4 - k), 0, 1))


def colour_names(hsv):
    """The colour word of every pixel, '' where it deserves none. Shape [...]."""
    h, s, v = hsv[..., 0], hsv[..., 1], hsv[..., 2]
    names = np.full(h.shape, "pink", dtype="<U6")
    for limit, name in ((295, "purple"), (255, "blue"), (165, "green"), (65, "yellow"), (40, "orange"), (15, "red")):
        names[h < limit] = name
    names[h >= 345] = "red"
    red, orange, yellow = names == "red", names == "orange", names == "yellow"
    names[red & (s < 0.55) & (v > 0.8)] = "pink"
    names[red & (v < 0.55)] = "brown"
    names[orange & ~((s > 0.6) & (v > 0.8))] = ""
    names[orange & (v < 0.75)] = "brown"
    names[yellow & (v <= 0.6)] = ""
    grey = s < 0.15
    names[grey] = ""
    names[grey & (v > 0.82)] = "white"
    names[v < 0.25] = "black"
    return names


def dominant_colour(picture, share=0.55):
    """The colour word that at least this share of the opaque pixels deserves, or None."""
    pixels = np.asarray(picture.resize((48, 48), Image.LANCZOS)).reshape(-1, 4)
    opaque = pixels[pixels[:, 3] > 128, :3] / 255
    if not len(opaque):
        return None
    words, counts = np.unique(colour_names(to_hsv(opaque)), return_counts=True)
    best = max(((c, w) for w, c in zip(words, counts) if w), default=(0, None))
    return str(best[1]) if best[0] >= share * len(opaque) else None


def recolour(picture, colour):
    """The picture with its main hue turned to a colour; what has another hue or none stays. None if it has no main hue."""
    picture = picture.resize((SIDE, SIDE), Image.LANCZOS)
    pixels = np.asarray(picture) / 255
    hsv = to_hsv(pixels[..., :3])
    coloured = (hsv[..., 1] > 0.25) & (hsv[..., 2] > 0.2)
    votes = coloured & (pixels[..., 3] > 0.5)
    if votes.sum() < 0.3 * (pixels[..., 3] > 0.5).sum():
        return None
    histogram = np.bincount((hsv[votes][:, 0] / 10).astype(int) % 36, minlength=36)
    smooth = histogram + np.roll(histogram, 1) + np.roll(histogram, -1)
    main = 10 * int(smooth.argmax()) + 5
    distance = np.abs((hsv[..., 0] - main + 180) % 360 - 180)
    if (votes & (distance < 32)).sum() < 0.6 * votes.sum():
        return None
    own = coloured & (distance < 32)
    hue, saturation, value = COLOURS[colour]
    out = hsv.copy()
    if hue is not None:
        out[..., 0] = (hue + np.clip((hsv[..., 0] - main + 180) % 360 - 180, -12, 12)) % 360
    out[..., 1] = np.clip(hsv[..., 1] * saturation, 0, 1)
    out[..., 2] = np.clip(hsv[..., 2] * value, 0, 1)
    colours = np.where(own[..., None], to_rgb(out), pixels[..., :3])
    return Image.fromarray((np.concatenate([colours, pixels[..., 3:]], -1) * 255).round().astype(np.uint8), "RGBA")


def side_by_side(left, right, rng):
    """Both pictures on one square, the first on the left, touching a little."""
    canvas = Image.new("RGBA", (SIDE, SIDE))
    scale = rng.uniform(0.50, 0.58)
    size = round(scale * SIDE)
    spread = SIDE - size
    ys = rng.uniform(0.3, 0.7, 2) * spread
    for picture, x, y in ((left, 0, ys[0]), (right, spread, ys[1])):
        canvas.alpha_composite(picture.resize((size, size), Image.LANCZOS), (round(x), round(float(y))))
    return canvas
