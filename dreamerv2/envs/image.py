"""Pictures as the agent sees them: gray or colour, small, with a channel axis."""

import cv2
import numpy as np


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize by area averaging.

    Args:
        image: uint8 `[height, width]` or `[height, width, channels]`.
        size: (height, width) of the result.

    Returns:
        uint8 `[*size, channels]`; one channel where there was no channel axis.
    """
    if image.shape[:2] != tuple(size):
        image = cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    return image if image.ndim == 3 else image[:, :, None]


def shrink(image: np.ndarray, size: tuple[int, int], grayscale: bool) -> np.ndarray:
    """Turn a colour or gray picture into what the agent sees.

    Gray is computed before resizing, with OpenCV's weights (0.299, 0.587, 0.114), the order in
    which DreamerV2 does it for Atari.

    Args:
        image: uint8 `[height, width]`, `[height, width, 1]` or RGB `[height, width, 3]`.
        size: (height, width) of the result.
        grayscale: whether the result has one channel or three.

    Returns:
        uint8 `[*size, 1]` or `[*size, 3]`, contiguous, sharing no memory with the input.
    """
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if grayscale and image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    elif not grayscale and image.ndim == 2:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    return np.array(resize(image, size), np.uint8, order='C')
