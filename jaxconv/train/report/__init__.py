"""`report.html`: what a run has learnt, in one file that needs nothing else to be read.

page.py       the page: its sections in order
headline.py   what the run has achieved, in sentences
markup.py     text and tables as HTML, and the style of the page
figures.py    images with a line below them
held.py       the images that the page looks at, and what the network says of them
curves.py     loss, accuracy and learning rate
classes.py    accuracy by class, and the confusion matrix or the worst pairs
mistakes.py   the images of which the network was surest and wrong
batch.py      the first batch as the network saw it
layers.py     filters and feature maps
gradients.py  the norms of the gradients
repeat.py     the command that repeats the run, and its settings
"""

from jaxconv.train.report.page import make_report

__all__ = ["make_report"]
