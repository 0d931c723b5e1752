"""The two figures of a report as SVG: loss while training, and minutes against loss.

Colours are classes, which static/css/report_figure.css fills; all else is in the figure itself.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement, tostring

from app.report.axes import Axis, roomy
from app.report.labels import Box, beside, shortened, spread
from app.report.schemas import Report, ReportRow
from app.report.words import loss, one_line, plain

WIDTH, HEIGHT = 560.0, 350.0
LEFT, TOP, BOTTOM = 46.0, 26.0, 44.0
NAMES = 150.0  # where the curves' names stand
COLOURS = 7
DASHES = ("", "6 4", "9 3", "6 3 1 3")
MANY = 20  # with more runs than this, names would hide what they name
TRAINED = 0.05  # share of its training after which a run's losses must be in the figure
DECADES = 100  # the longest run's steps over the first ones shown


class _Curve(NamedTuple):
    """The evaluations of a run that has begun to train, in the figure's unit."""

    row: ReportRow
    number: int
    points: list[tuple[float, float]]
    train: list[tuple[float, float]]

    @property
    def end(self) -> tuple[float, float]:
        return self.points[-1]


def curves(report: Report) -> Element:
    """Validation and training loss by step, on a logarithmic axis of steps."""
    drawn = list(_curves(report))
    svg = _figure("curves", "Loss while training", _curves_told(report, drawn))
    if not drawn:
        return _nothing(svg, "No run has a loss from its training.")
    named = len(drawn) <= MANY
    right = WIDTH - (NAMES if named else 12)
    last = max(curve.end[0] for curve in drawn)
    first = min((curve.points[0][0] for curve in drawn if len(curve.points) > 1), default=1)
    low = min(max(first, last / DECADES), last / 2)
    x = Axis(low, last, LEFT, right, logarithmic=True)
    y = Axis(*roomy(_worth_seeing(drawn), 0.05), HEIGHT - BOTTOM, TOP)
    _frame(svg, x, y, right, ("training step", f"loss, {_unit(report)}"))
    inside = SubElement(svg, "svg", _box(LEFT, TOP, right - LEFT, HEIGHT - BOTTOM - TOP))
    for curve in drawn:
        _line(inside, curve, x, y)
    if named:
        _names(svg, drawn, x, y, right)
    return svg


def cost(report: Report) -> Element:
    """A dot for each run whose time and loss are known; dotted lines through the reference's."""
    dots = [
        (row, number, row.cost.minutes, value)
        for number, row in enumerate(report.runs)
        if row.cost.minutes is not None and (value := _measure(report, row)) is not None
    ]
    told = " ".join(row.cost.sentence for row, *_ in dots[:MANY])
    svg = _figure("cost", "Minutes of training against validation loss", told)
    if not dots:
        return _nothing(svg, "No run has both a time and a loss.")
    right = WIDTH - 12
    most = max(minutes for _, _, minutes, _ in dots) or 1
    x = Axis(-0.04 * most, 1.1 * most, LEFT, right)
    y = Axis(*roomy((value for *_, value in dots), 0.12), HEIGHT - BOTTOM, TOP)
    _frame(svg, x, y, right, ("minutes of training", f"validation loss, {_unit(report)}"))
    frame = Box(LEFT, TOP, right, HEIGHT - BOTTOM)
    reference = report.runs[0].id
    taken = []
    for row, number, minutes, value in dots:
        at = (x.at(minutes), y.at(value))
        _dot(svg, row, number, at, frame if row.id == reference else None)
        taken.append(Box(at[0] - 6, at[1] - 6, at[0] + 6, at[1] + 6))
    from_the_top = sorted(dots, key=lambda dot: -dot[3])
    for row, number, minutes, value in from_the_top if len(dots) <= MANY else ():
        text = shortened(one_line(row.title))
        label = beside(x.at(minutes), y.at(value), text, taken, frame)
        if label:
            taken.append(label.box)
            _text(svg, text, label.x, label.y, label.anchor, f"name {_colour(number)}")
    return svg


def markup(svg: Element) -> str:
    """As it stands inside a page."""
    return tostring(svg, encoding="unicode")


def svg_file(svg: Element, style: str) -> str:
    """As a file of its own, with its own rules and on paper of its own."""
    alone = Element("svg", svg.attrib | {"width": plain(WIDTH), "height": plain(HEIGHT)})
    SubElement(alone, "style").text = style
    paper = {"class": "paper", "width": "100%", "height": "100%", "rx": "8"}
    SubElement(alone, "rect", paper)
    alone.extend(svg)
    return f"{tostring(alone, encoding='unicode')}\n"


def _curves(report: Report) -> Iterator[_Curve]:
    for number, row in enumerate(report.runs):
        scale = _scale(report, row)
        begun = [point for point in row.curve if point.step > 0]
        points = [(float(p.step), p.val_loss * scale) for p in begun if p.val_loss is not None]
        train = [(float(p.step), p.train_loss * scale) for p in begun if p.train_loss is not None]
        if points:
            yield _Curve(row, number, points, train)


def _scale(report: Report, row: ReportRow) -> float:
    """What makes bits per character of its losses, where such are compared."""
    if not report.compare_bits or not row.val_loss or row.val_bits_per_character is None:
        return 1.0
    return row.val_bits_per_character / row.val_loss


def _measure(report: Report, row: ReportRow) -> float | None:
    return row.val_bits_per_character if report.compare_bits else row.val_loss


def _unit(report: Report) -> str:
    return "bits per character" if report.compare_bits else report.unit


def _worth_seeing(drawn: Iterable[_Curve]) -> Iterator[float]:
    """An untrained model's loss is so high that it would press all else together."""
    for curve in drawn:
        begun = TRAINED * curve.end[0]
        yield from (value for step, value in (*curve.points, *curve.train) if step >= begun)


def _line(svg: Element, curve: _Curve, x: Axis, y: Axis) -> None:
    """A run's two curves; a run that was evaluated once is a level line from edge to edge."""
    group = SubElement(svg, "g", {"class": f"line {_colour(curve.number)}"})
    SubElement(group, "title").text = one_line(f"{curve.row.title}: {loss(curve.row.val_loss)}")
    for measured, name in ((curve.train, "training"), (curve.points, "validation")):
        level = [(x.low, measured[0][1]), (x.high, measured[0][1])] if len(measured) == 1 else []
        points = level or measured
        places = " ".join(f"{_(x.at(step))},{_(y.at(value))}" for step, value in points)
        dash = "1 3" if name == "training" else DASHES[curve.number // 2 % len(DASHES)]
        SubElement(group, "polyline", {"points": places, "class": name, "stroke-dasharray": dash})


def _names(svg: Element, drawn: list[_Curve], x: Axis, y: Axis, right: float) -> None:
    """The runs' names at the right, level with where their curves end."""
    ends = [min(max(y.at(curve.end[1]), TOP), HEIGHT - BOTTOM) for curve in drawn]
    for curve, end, at in zip(drawn, ends, spread(ends, TOP, HEIGHT - 6), strict=True):
        colour = _colour(curve.number)
        start = x.at(curve.end[0]) if len(curve.points) > 1 else right
        path = f"M{_(start)} {_(end)}H{_(right + 2)}L{_(right + 12)} {_(at)}"
        SubElement(svg, "path", {"d": path, "class": f"leader {colour}"})
        text = shortened(one_line(curve.row.title), 20)
        _text(svg, text, right + 15, at + 4, "start", f"name {colour}")


def _dot(
    svg: Element, row: ReportRow, number: int, at: tuple[float, float], cross: Box | None
) -> None:
    """A diamond with lines through it, if it is the one that others are compared with."""
    x, y = at
    if cross:
        path = f"M{_(x)} {_(cross.top)}V{_(cross.bottom)}M{_(cross.left)} {_(y)}H{_(cross.right)}"
        SubElement(svg, "path", {"d": path, "class": "cross", "stroke-dasharray": "1 4"})
    group = SubElement(svg, "g", {"class": f"dot {_colour(number)}"})
    SubElement(group, "title").text = one_line(row.cost.sentence)
    if cross:
        SubElement(group, "path", {"d": f"M{_(x)} {_(y - 8)}l8 8l-8 8l-8 -8z"})
    else:
        SubElement(group, "circle", {"cx": _(x), "cy": _(y), "r": "5.5"})


def _figure(name: str, title: str, told: str) -> Element:
    """An empty one, with its name and what it shows for those who cannot see it."""
    svg = Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "class": "report-figure",
            "viewBox": f"0 0 {plain(WIDTH)} {plain(HEIGHT)}",
            "font-size": "12.5",
            "role": "img",
            "aria-labelledby": f"report-{name}-title report-{name}-told",
        },
    )
    SubElement(svg, "title", {"id": f"report-{name}-title"}).text = title
    SubElement(svg, "desc", {"id": f"report-{name}-told"}).text = one_line(told)
    return svg


def _curves_told(report: Report, drawn: list[_Curve]) -> str:
    each = (
        f"{curve.row.title} ends at {loss(curve.end[1])} after {curve.end[0]:,} steps."
        for curve in drawn[:MANY]
    )
    return f"Validation loss in {_unit(report)}. {' '.join(each)}"


def _nothing(svg: Element, words: str) -> Element:
    _text(svg, words, WIDTH / 2, HEIGHT / 2, "middle", "told")
    return svg


def _frame(svg: Element, x: Axis, y: Axis, right: float, names: tuple[str, str]) -> None:
    floor = HEIGHT - BOTTOM
    for tick, text in _ticks(y):
        at = y.at(tick)
        SubElement(svg, "path", {"d": f"M{_(LEFT)} {_(at)}H{_(right)}", "class": "grid"})
        _text(svg, text, LEFT - 7, at + 4, "end", "tick")
    for tick, text in _ticks(x):
        at = x.at(tick)
        SubElement(svg, "path", {"d": f"M{_(at)} {_(floor)}v5", "class": "axis"})
        _text(svg, text, at, floor + 18, "middle", "tick")
    SubElement(svg, "path", {"d": f"M{_(LEFT)} {_(floor)}H{_(right)}", "class": "axis"})
    _text(svg, names[0], (LEFT + right) / 2, HEIGHT - 7, "middle", "told")
    _text(svg, names[1], 8, 15, "start", "told")


def _text(svg: Element, text: str, x: float, y: float, anchor: str, kind: str) -> None:
    place = {"x": _(x), "y": _(y), "text-anchor": anchor, "class": kind}
    SubElement(svg, "text", place).text = text


def _box(x: float, y: float, width: float, height: float) -> dict[str, str]:
    """A window on a part of the figure, in the figure's own places, that cuts what is outside."""
    sides = {"x": _(x), "y": _(y), "width": _(width), "height": _(height)}
    return sides | {"viewBox": " ".join(sides.values())}


def _ticks(axis: Axis) -> Iterator[tuple[float, str]]:
    """Each with its text; all with as many digits after the point, where they are at even steps."""
    ticks = axis.ticks()
    digits = max((len(plain(tick).partition(".")[2]) for tick in ticks), default=0)
    for tick in ticks:
        yield tick, f"{tick:,g}" if axis.logarithmic and tick < 1 else f"{tick:,.{digits}f}"


def _colour(number: int) -> str:
    return f"run-{number % COLOURS + 1}"


def _(place: float) -> str:
    """To a tenth."""
    return plain(round(place, 1))
