"""page.py - what a test sees of a coverage page: its cells, and the colours of a screenshot."""

import json
import re
import shutil
import struct
import subprocess
import zlib
from html.parser import HTMLParser

CHROMIUM = shutil.which("chromium")
STATES = ("carried", "download", "miss")


class Page(HTMLParser):
    """The tables of a page: cells[] of caption, kernel, NIC, state, the text of the cell, and attributes."""

    VOID = {"meta", "br", "link", "img", "input"}

    def __init__(self, text):
        super().__init__()
        self.open, self.texts, self.cells, self.notes, self.legend = [], {}, [], {}, []
        self.tags, self.columns, self.style = set(), [], ""
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.add(tag)
        assert not any(name.startswith("on") for name in attrs), attrs
        assert tag == "a" or not {"src", "href"} & set(attrs), (tag, attrs)
        assert attrs.get("href", "#")[0] == "#", attrs
        if tag in self.VOID:
            return
        self.open.append((tag, attrs, [""]))
        if tag == "thead":
            self.columns = []

    def handle_data(self, data):
        for _, _, text in self.open:
            text[0] += data

    def handle_endtag(self, tag):
        name, attrs, (text,) = self.open.pop()
        assert name == tag, (name, tag)
        text = " ".join(text.split())
        if tag == "caption":
            self.caption = text
        elif tag == "th" and attrs["scope"] == "col":
            self.columns.append(text)
        elif tag == "th":
            self.kernel, self.column = text, 0
        elif tag == "td":
            self.column += 1
            if text != "-":
                self.cells.append({"caption": self.caption, "kernel": self.kernel.split(" (every")[0],
                                   "nic": self.columns[self.column], "state": text.split()[0], "text": text,
                                   "class": attrs["class"], "attrs": attrs})
        elif tag == "li" and "id" in attrs:
            self.notes[attrs["id"]] = text
        elif tag == "li":
            self.legend.append((attrs["class"], text.split(":")[0], attrs))
        elif tag == "style":
            self.style = text


def caption_of(cell):
    """The caption of the table where a cell of the document stands."""
    return ", ".join(filter(None, (cell["os"], cell["arch"], cell["size"], cell["facts"])))


def browse(folder, *options):
    """What headless Chromium prints."""
    home = folder / "browser"
    home.mkdir(exist_ok=True)
    done = subprocess.run([CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                           "--force-device-scale-factor=1", "--window-size=900,1400", f"--user-data-dir={home}/data",
                           *options], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
                          env={"HOME": str(home), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"})
    assert done.returncode == 0, done.stderr
    return done.stdout


# Stands in a copy of the page alone: the page itself has no script, and forbids any.
PLACES = """<script>
for (const at of document.querySelectorAll("td, li[class]")) {
  const box = at.getBoundingClientRect(), style = getComputedStyle(at);
  at.dataset.place = JSON.stringify([box.left, box.top, box.right, box.bottom]);
  at.dataset.colour = style.backgroundColor;
  at.dataset.ink = style.color;
}
</script></body>"""


def places_page(text):
    """The same page, which says where its cells are once it is laid out."""
    changed, count = re.subn(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    assert count == 1
    return changed.replace("</body>", PLACES)


class Picture:
    """A PNG of 8-bit RGB or RGBA, as Chromium writes it (PNG specification, sections 5, 7 and 9)."""

    def __init__(self, data):
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        at, packed = 8, b""
        while at < len(data):
            size, kind = struct.unpack(">I4s", data[at:at + 8])
            body = data[at + 8:at + 8 + size]
            if kind == b"IHDR":
                self.width, self.height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", body)
                assert (depth, interlace) == (8, 0) and colour in (2, 6)
                self.step = 3 if colour == 2 else 4
            packed += body if kind == b"IDAT" else b""
            at += 12 + size
        self.lines = self.unfilter(zlib.decompress(packed))

    def unfilter(self, raw):
        """Each line, without its filter."""
        size, step, lines = self.width * self.step, self.step, []
        above = bytearray(size)
        for y in range(self.height):
            kind, line = raw[y * (size + 1)], bytearray(raw[y * (size + 1) + 1:(y + 1) * (size + 1)])
            for x in range(size) if kind else ():
                left, corner = (line[x - step], above[x - step]) if x >= step else (0, 0)
                if kind == 4:
                    guess = left + above[x] - corner
                    add = min((left, above[x], corner), key=lambda value: abs(guess - value))
                else:
                    add = (0, left, above[x], (left + above[x]) // 2)[kind]
                line[x] = (line[x] + add) & 255
            lines.append(line)
            above = line
        return lines

    def pixel(self, x, y):
        """(red, green, blue)"""
        return tuple(self.lines[int(y)][int(x) * self.step:][:3])

    def colours(self):
        """How many there are."""
        return len({self.pixel(x, y) for y in range(0, self.height, 3) for x in range(0, self.width, 3)})


def numbers(text):
    """(205, 238, 211) of "rgb(205, 238, 211)"."""
    return tuple(int(number) for number in re.findall(r"\d+", text))


def brightness(colour):
    """Relative luminance (WCAG 2.1)."""
    parts = [part / 255 for part in colour]
    parts = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one, other):
    """The ratio, from 1 to 21 (WCAG 2.1)."""
    high, low = sorted((brightness(one), brightness(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def place_of(attrs):
    """(left, top, right, bottom) of an element of places_page."""
    return json.loads(attrs["data-place"])
