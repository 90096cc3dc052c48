"""What Keras' `fit` of a model in training is given and refuses: data, arguments, values, methods."""
