"""TF.js folders."""
