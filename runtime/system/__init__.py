"""Ask the operating system and optional packages: files, memory, GPU, console. Imports: errors."""
