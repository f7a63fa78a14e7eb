"""Settings of a quantization: their enums, rules for some weights, and the checks of both."""
