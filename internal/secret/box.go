package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// version1 is the first byte of an envelope:
// version (1) | key id (4) | nonce (12) | ciphertext and tag.
const version1 = 1

const (
	keySize   = 32
	keyIDSize = 4
	nonceSize = 12
	headSize  = 1 + keyIDSize + nonceSize
)

// ErrOtherKey says that a value was sealed with a key that is not ours.
var ErrOtherKey = errors.New("sealed with another encryption key (OMNI_ENCRYPTION_KEY)")

// Box seals and opens with one key. It is safe for concurrent use.
type Box struct {
	aead  cipher.AEAD
	keyID [keyIDSize]byte
}

// New reads a key of 32 bytes in base64 (standard or URL alphabet, padded or
// not), as OMNI_ENCRYPTION_KEY holds it. The error never repeats the key.
func New(key string) (*Box, error) {
	raw, err := decodeKey(key)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, fmt.Errorf("preparing the cipher: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("preparing the cipher: %w", err)
	}
	b := &Box{aead: aead}
	// A hash of the key names it without giving it away.
	sum := sha256.Sum256(append([]byte("omni key id\x00"), raw...))
	copy(b.keyID[:], sum[:])
	return b, nil
}

// GenerateKey makes a new key in the form that New reads.
func GenerateKey() string {
	raw := make([]byte, keySize)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the program instead
	return base64.StdEncoding.EncodeToString(raw)
}

func decodeKey(key string) ([]byte, error) {
	key = strings.TrimRight(strings.TrimSpace(key), "=")
	key = strings.NewReplacer("-", "+", "_", "/").Replace(key)
	raw, err := base64.RawStdEncoding.DecodeString(key)
	if err != nil {
		return nil, errors.New("the encryption key is not base64")
	}
	if len(raw) != keySize {
		return nil, fmt.Errorf("the encryption key has %d bytes, it needs %d", len(raw), keySize)
	}
	return raw, nil
}

// Seal encrypts plain for its owner (the instance id): opened for another
// owner, it is refused.
func (b *Box) Seal(plain []byte, owner string) ([]byte, error) {
	out := make([]byte, headSize, headSize+len(plain)+b.aead.Overhead())
	out[0] = version1
	copy(out[1:], b.keyID[:])
	nonce := out[1+keyIDSize : headSize]
	if _, err := rand.Read(nonce); err != nil {
		return nil, fmt.Errorf("drawing a nonce: %w", err)
	}
	return b.aead.Seal(out, nonce, plain, associated(out, owner)), nil
}

// Open decrypts what Seal made for the same owner. It returns ErrOtherKey
// where the key differs; any other failure means the value was altered.
func (b *Box) Open(sealed []byte, owner string) ([]byte, error) {
	if len(sealed) < headSize+b.aead.Overhead() {
		return nil, errors.New("opening a secret: too short")
	}
	if sealed[0] != version1 {
		return nil, fmt.Errorf("opening a secret: version %d is not known", sealed[0])
	}
	if [keyIDSize]byte(sealed[1:1+keyIDSize]) != b.keyID {
		return nil, fmt.Errorf("opening a secret: %w", ErrOtherKey)
	}
	plain, err := b.aead.Open(nil, sealed[1+keyIDSize:headSize], sealed[headSize:], associated(sealed, owner))
	if err != nil {
		return nil, errors.New("opening a secret: it was altered, or belongs to another owner")
	}
	return plain, nil
}

// associated binds version, key id and owner to the ciphertext.
func associated(envelope []byte, owner string) []byte {
	return append(append([]byte(nil), envelope[:1+keyIDSize]...), owner...)
}
