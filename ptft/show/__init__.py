"""Floor 6: what a chapter shows. The only floor that imports matplotlib and IPython."""
