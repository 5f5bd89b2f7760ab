"""The colours of pictures that name a colour space of their own."""

import io

from jaxconv._core.extras import needs

with needs("train"):
    from PIL import Image, features


def in_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Return an RGB picture in sRGB, in which a viewer shows it, if its ICC profile is another.

    What is no profile of RGB says nothing.
    """
    if not profile or picture.mode != "RGB" or not features.check("littlecms2"):
        return picture
    from PIL import ImageCms

    try:
        known = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if known.profile.xcolor_space.strip() != "RGB" or "sRGB" in (
            known.profile.profile_description or ""
        ):
            return picture
        changed = ImageCms.profileToProfile(picture, known, ImageCms.createProfile("sRGB"))
    except (ImageCms.PyCMSError, OSError, ValueError):
        return picture
    return changed or picture
