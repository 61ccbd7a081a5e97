"""The Redis cache: what it promises beside what every storage promises."""
