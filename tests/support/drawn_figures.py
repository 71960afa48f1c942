"""What the tests of the figures look at: the texts of a figure, and the file it became."""

from PIL import Image


def texts(figure):
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


def assert_picture(path):
    with Image.open(path) as image:
        image.load()
        assert image.format == "PNG"
        assert round(image.info["dpi"][0]) == 150
        assert len(image.convert("RGB").getcolors(1 << 24)) > 5
        return image.size
