"""The model replica and the engines that may run in it."""
