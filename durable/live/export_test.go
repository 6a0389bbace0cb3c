package live

// Kept is how many bytes are kept, counted anew.
func (b *Bus) Kept() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range b.topics {
		for _, m := range t.messages {
			n += len(m) + overhead
		}
	}
	return n
}

// Topics is how many there are.
func (b *Bus) Topics() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.topics)
}
