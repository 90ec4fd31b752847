"""What Tocsin promises, sentence by sentence, tried against real servers."""
