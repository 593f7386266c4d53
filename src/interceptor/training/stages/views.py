"""A stage's augmentation of a face clip, by torchvision v2: drawn once for a sample, each view treated as it can bear.

| view | mirror | rotation, shift, perspective | colour | blur |
|---|---|---|---|---|
| crop and neighbours | yes | yes, all three alike | yes | yes |
| context | yes | yes, by the same draw | yes | yes |
| native pixels | yes | no | no | no |
| mouth | yes | no | no | no |

So a lens made of aligned views shows the very geometry of the crop beside it, and the frames of a clip still fit each
other. A lens of single pixels keeps its pixels: resampling, and even a change of colour, would wipe out the codec's
grid and the noise that it looks for. A mirror keeps the grid where native crops are whole blocks wide. Landmarks are
mirrored, but not turned: no lens reads them.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torchvision.transforms import v2

from interceptor.media.clips import FaceClip, Mouth, NativeCrop
from interceptor.training.stages.recipe import Recipe

MARGIN = 4
"""A picture is mirrored outwards by this part of its side before it is turned, so that no black corner comes in."""
GROWN = 1 + 2 / MARGIN


class Augmentation:
    """The augmentation of one recipe; one without any leaves clips as they are."""

    def __init__(self, recipe: Recipe) -> None:
        self.flip = recipe.flip
        self.geometry: list[v2.Transform] = []
        if recipe.rotation or recipe.translate:
            shift = (recipe.translate / GROWN,) * 2 if recipe.translate else None
            self.geometry.append(
                v2.RandomAffine(recipe.rotation, translate=shift, interpolation=v2.InterpolationMode.BILINEAR)
            )
        if recipe.perspective:
            self.geometry.append(v2.RandomPerspective(recipe.perspective / GROWN, 0.5))
        self.look: list[v2.Transform] = []
        jitter, light = recipe.jitter, recipe.brightness or recipe.jitter
        if jitter or light:
            self.look.append(v2.ColorJitter(brightness=light, contrast=jitter, saturation=jitter))
        if recipe.blur:
            self.look.append(v2.RandomApply([v2.GaussianBlur(5, (0.1, 2.0))], recipe.blur))

    def __call__(self, clip: FaceClip, seed: int) -> FaceClip:
        """`clip` after the draw that belongs to `seed`; PyTorch's generator is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if torch.rand(()).item() < self.flip:
                clip = mirrored(clip)
            draw = int(torch.randint(2**62, ()).item())
            aligned = clip.crops[:, None]
            if clip.neighbours is not None:
                aligned = np.concatenate([aligned, clip.neighbours], 1)
            aligned = self._treated(aligned, draw)
            return dataclasses.replace(
                clip,
                crops=np.ascontiguousarray(aligned[:, 0]),
                neighbours=None if clip.neighbours is None else np.ascontiguousarray(aligned[:, 1:]),
                context=None if clip.context is None else self._treated(clip.context, draw),
            )

    def _treated(self, pictures: np.ndarray, draw: int) -> np.ndarray:
        """uint8[..., H, W, 3], all of them by the same draw."""
        if not self.geometry and not self.look:
            return pictures
        torch.manual_seed(draw)
        tensor = torch.from_numpy(np.ascontiguousarray(pictures)).movedim(-1, -3).flatten(0, -4)
        side = tensor.shape[-1]
        if self.geometry:
            tensor = v2.functional.pad(tensor, [side // MARGIN], padding_mode="reflect")
            for step in self.geometry:
                tensor = step(tensor)
            tensor = v2.functional.center_crop(tensor, [side])
        for step in self.look:
            tensor = step(tensor)
        return np.ascontiguousarray(tensor.movedim(-3, -1).numpy()).reshape(pictures.shape)


def mirrored(clip: FaceClip) -> FaceClip:
    """`clip` seen in a mirror, all its views."""

    def picture(pixels: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(pixels[..., ::-1, :])

    def points(landmarks: np.ndarray, width: int) -> np.ndarray:
        return (landmarks * [-1, 1] + [width, 0])[..., [1, 0, 2, 4, 3], :].astype(np.float32)

    return dataclasses.replace(
        clip,
        crops=picture(clip.crops),
        landmarks=points(clip.landmarks, clip.crops.shape[2]),
        context=None if clip.context is None else picture(clip.context),
        neighbours=None if clip.neighbours is None else picture(clip.neighbours),
        native=clip.native
        and tuple(NativeCrop(picture(one.pixels), points(one.landmarks, one.pixels.shape[1])) for one in clip.native),
        mouth=clip.mouth and Mouth(np.ascontiguousarray(clip.mouth.frames[..., ::-1]), clip.mouth.times),
    )
