"""Pretrain, then fine-tune: the companion package of the course."""
