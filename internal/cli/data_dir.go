package cli

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"

	"github.com/omnihub/omni/internal/config"
	"github.com/omnihub/omni/internal/secret"
)

// Files of the data directory that hold what was generated once.
const (
	apiKeyFile        = "api-key"
	encryptionKeyFile = "encryption-key"
	hubIDFile         = "hub-id"
)

// hubSecrets fills in what is not configured from the data directory, making
// it on the first run. newKey tells that the API key was made just now.
func hubSecrets(cfg *config.Config) (hubID string, newKey bool, err error) {
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return "", false, dataDirError(cfg.DataDir, err)
	}
	if cfg.EncryptionKey == "" {
		if cfg.EncryptionKey, _, err = keep(cfg.DataDir, encryptionKeyFile, secret.GenerateKey); err != nil {
			return "", false, err
		}
	}
	if cfg.APIKey == "" {
		if cfg.APIKey, newKey, err = keep(cfg.DataDir, apiKeyFile, generateAPIKey); err != nil {
			return "", false, err
		}
	}
	hubID, _, err = keep(cfg.DataDir, hubIDFile, uuid.NewString)
	return hubID, newKey, err
}

func generateAPIKey() string { return "omni_" + strings.ToLower(rand.Text()) }

// keep reads a one-line file of the data directory, or makes it with a
// generated value: whole, or not at all.
func keep(dir, name string, generateFunc func() string) (value string, made bool, err error) {
	path := filepath.Join(dir, name)
	content, err := os.ReadFile(path)
	if err == nil && len(content) > 0 {
		return strings.TrimSpace(string(content)), false, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", false, dataDirError(dir, err)
	}
	value = generateFunc()
	unfinished := path + ".new"
	if err := os.WriteFile(unfinished, []byte(value+"\n"), 0o600); err != nil {
		return "", false, dataDirError(dir, err)
	}
	if err := os.Rename(unfinished, path); err != nil {
		return "", false, dataDirError(dir, err)
	}
	return value, true, nil
}

// keptAPIKey is the key that omni up keeps in the data directory; empty if there is none.
func keptAPIKey(cfg *config.Config) string {
	content, err := os.ReadFile(filepath.Join(cfg.DataDir, apiKeyFile))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(content))
}

func dataDirError(dir string, err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathErr.Err
	}
	return fmt.Errorf("OMNI_DATA_DIR %s cannot be used: %w", dir, err)
}
