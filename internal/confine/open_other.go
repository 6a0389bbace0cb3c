//go:build !unix

package confine

// nonBlock is nothing where a folder holds no pipes.
const nonBlock = 0
