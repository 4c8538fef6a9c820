"""Where things lie: this folder, its runs, the model that ships."""

import os

HERE = os.path.dirname(os.path.abspath(__file__))
RUNS = os.path.join(HERE, "runs")
MODEL = os.path.join(os.path.dirname(HERE), "models", "emoji")
