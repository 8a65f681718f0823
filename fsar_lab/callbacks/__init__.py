"""What happens beside the training: speed, progress, pictures, checkpoints, profile; and coding speed."""
