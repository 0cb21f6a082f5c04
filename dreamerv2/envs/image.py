"""Pictures as the agent sees them: gray or colour, small, with a channel axis."""

import cv2
import numpy as np

_CHANNELS = 4  # that OpenCV resizes together


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize by area averaging.

    Args:
        image: uint8 `[height, width]` or `[height, width, channels]`.
        size: (height, width) of the result.

    Returns:
        uint8 `[*size, channels]`; one channel where there was no channel axis.
    """
    if image.shape[:2] != tuple(size):
        if image.ndim == 3 and image.shape[2] > _CHANNELS:
            starts = range(0, image.shape[2], _CHANNELS)
            groups = [resize(image[:, :, start : start + _CHANNELS], size) for start in starts]
            return np.concatenate(groups, -1)
        image = np.ascontiguousarray(image)
        image = cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    return image if image.ndim == 3 else image[:, :, None]  # OpenCV drops an axis of one channel


def shrink(image: np.ndarray, size: tuple[int, int], grayscale: bool) -> np.ndarray:
    """Turn a picture into what the agent sees.

    Gray is computed before resizing, with OpenCV's weights (0.299, 0.587, 0.114).

    Args:
        image: uint8 `[height, width]` or `[height, width, channels]`; three channels are RGB.
        size: (height, width) of the result.
        grayscale: whether RGB becomes one channel; other numbers of channels are kept.

    Returns:
        uint8 `[*size, channels]`, contiguous, sharing no memory with the input.
    """
    if grayscale and image.ndim == 3 and image.shape[2] == 3:
        image = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    return np.array(resize(image, size), np.uint8, order='C')


def as_rgb(images: np.ndarray) -> np.ndarray:
    """Pictures that a person can look at, from any number of channels.

    Args:
        images: uint8 `[..., height, width, channels]`.

    Returns:
        uint8 `[..., height, width, 3]`: three channels unchanged, otherwise the last one in gray
        (the newest picture of a stack).
    """
    return images if images.shape[-1] == 3 else np.repeat(images[..., -1:], 3, axis=-1)
