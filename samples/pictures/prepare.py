"""Makes target.png: the cat Chelsea from scikit-image, cropped to 4:3 and reduced to 192 x 256 pixels."""

from pathlib import Path

from PIL import Image
from skimage import data

picture = Image.fromarray(data.chelsea()).crop((20, 0, 420, 300))
picture = picture.resize((256, 192), Image.LANCZOS)
picture.save(Path(__file__).with_name("target.png"), optimize=True)
