"""From real-valued latents to discrete symbols."""
