"""What an importer makes of a Keras layer, called: ``--impl my_importer:Imported``."""

import my_conv
import numpy as np

from conformance import Capabilities, Implementation, Unsupported

READ = ("strides", "padding", "data_format", "dilation_rate", "groups")


def imported(layer, read=READ):
    """The importer; here it makes a NumPy function of what the layer tells of itself."""
    config, (kernel, *bias) = layer.get_config(), layer.get_weights()
    if config["activation"] not in ("linear", "relu"):
        raise Unsupported(f"activation {config['activation']} is not imported yet")
    arguments = {name: config[name] for name in read}
    return lambda x: np.asarray(layer.activation(my_conv.conv2d(x, kernel, *bias, **arguments)))


class Imported(Implementation):
    """Real Keras makes the layer and keeps its weights; each call converts it anew."""

    name = "my importer"
    capabilities = Capabilities(dtypes="float32")
    read = READ

    def setup(self):
        """Import Keras in the process that will run the cases."""
        import keras

        self.layers, self.version = keras.layers, f"for Keras {keras.__version__}"

    def layer(self, **arguments):
        """A layer of Keras that computes by way of the importer."""
        return Converted(self.layers.Conv2D(**arguments), self.read)


class Converted:
    """A layer of Keras, but for its call."""

    def __init__(self, layer, read):
        self.layer, self.read = layer, read

    def __getattr__(self, name):
        return getattr(self.layer, name)

    def __call__(self, x):
        return imported(self.layer, self.read)(x)
