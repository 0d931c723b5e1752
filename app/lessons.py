"""The lessons at `/learn`: the tuning exercise's nine questions, in their order."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Lesson:
    """One page. `slug` names its address, its template, its script and its style."""

    slug: str
    title: str
    question: str
    figure: str  # what the reader can change in it

    @property
    def file(self) -> str:
        return self.slug.replace("-", "_")


LESSONS = (
    Lesson(
        "language-models",
        "Language models",
        "What is a language model?",
        "A count of short sequences and a GPT predict your text's next character, side by side.",
    ),
    Lesson(
        "data",
        "Data and preprocessing",
        "What does a model learn from, and how does text become numbers?",
        "The corpus in figures, your text as tokens, and the many predictions in one batch.",
    ),
    Lesson(
        "self-attention",
        "Self-attention, step by step",
        "How does one position look at the others?",
        "A real head works on your text, matrix by matrix, with every sum written out.",
    ),
    Lesson(
        "cross-attention",
        "Attention, self-attention, cross-attention",
        "What do the three have in common, and what differs?",
        "The three drawn alike, and an example of cross-attention to change number by number.",
    ),
    Lesson(
        "multi-head",
        "Many heads",
        "Why several heads rather than one?",
        "What each head looks at, one against four against eight, and heads switched off.",
    ),
    Lesson(
        "transformer",
        "The transformer",
        "What are its parts, and where are its parameters?",
        "The block as the run has it; open a part to see what your text makes of it.",
    ),
    Lesson(
        "residual-norm-dropout",
        "Residual connections, normalisation, dropout",
        "What is each of the three for?",
        "Switch them off and watch norms, variances, gradients and the loss along the depth.",
    ),
    Lesson(
        "tuning",
        "Tuning",
        "What does a change do to what a model writes?",
        "Two runs write from one seed; repeat the exercise, or change one thing.",
    ),
    Lesson(
        "hypotheses",
        "Hypotheses",
        "What was expected, what happened, and was it worth its minutes?",
        "Every run's hypothesis and verdict, to edit in place, and the loss gained per minute.",
    ),
)
