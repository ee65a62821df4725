"""The disturbances of a model by name. Listed without importing torch."""

from weatherglass.catalog import Catalog

MODEL_DISTURBANCES: Catalog[str] = Catalog(
    "disturbance of the model",
    {
        "lesion": "Residual branches silenced: lesion:blocks.3.mlp, lesion:blocks.1,blocks.2, lesion:random-4-blocks#0",
        "attention_distance": "Attention within so many tokens: attention_distance@3, attention_distance:from=6@0",
    },
)
"""What a text begins with, up to ':' or '@'. '+fog@3' may follow any of them: the disturbed model in fog."""
