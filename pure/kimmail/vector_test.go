package kimmail

import (
	"bytes"
	"crypto/aes"
	"testing"
)

// RFC 4493 §4 (AES-128) and NIST SP 800-38B, appendix D.3 (AES-256).
func TestCMACMatchesPublishedVectors(t *testing.T) {
	msg := unhex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710")
	for _, c := range []struct {
		key  string
		size int
		want string
	}{
		{"2b7e151628aed2a6abf7158809cf4f3c", 0, "bb1d6929e95937287fa37d129b756746"},
		{"2b7e151628aed2a6abf7158809cf4f3c", 16, "070a16b46b4d4144f79bdd9dd04a287c"},
		{"2b7e151628aed2a6abf7158809cf4f3c", 40, "dfa66747de9ae63030ca32611497c827"},
		{"2b7e151628aed2a6abf7158809cf4f3c", 64, "51f0bebf7e3b9d92fc49741779363cfe"},
		{"603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", 0, "028962f61b7bf89efc6b551f4667d983"},
		{"603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", 16, "28a7023f452e8f82bd4bf28d8c37c35c"},
		{"603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", 40, "aaf3d8f1de5640c232f5b169b9c911e6"},
		{"603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", 64, "e1992190549f6ed5696a2c056c315410"},
	} {
		block, err := aes.NewCipher(unhex(c.key))
		if err != nil {
			t.Fatal(err)
		}
		if got := cmac(block, msg[:c.size]); !bytes.Equal(got[:], unhex(c.want)) {
			t.Errorf("CMAC of %d bytes is %x, want %s", c.size, got, c.want)
		}
	}
}

// NIST CAVS 12.0, "ANSI X9.63-2001", SHA-256.
func TestKeyDerivationMatchesPublishedVectors(t *testing.T) {
	for _, c := range []struct{ z, info, want string }{
		{"96c05619d56c328ab95fe84b18264b08725b85e33fd34f08", "", "443024c3dae66b95e6f5670601558f71"},
		{
			"22518b10e70f2a3f243810ae3254139efbee04aa57c7af7d", "75eef81aa3041e33b80971203d2c0c52",
			"c498af77161cc59f2962b9a713e2b215152d139766ce34a776df11866a69bf2e52a13d9c7c6fc878c50c5ea0bc7b00e0" +
				"da2447cfd874f6cf92f30d0097111485500c90c3af8b487872d04685d14c8d1dc8d7fa08beb0ce0ababc11f0bd496269" +
				"142d43525a78e5bc79a17f59676a5706dc54d54d4d1f0bd7e386128ec26afc21",
		},
	} {
		want := unhex(c.want)
		if got := x963KDF(unhex(c.z), unhex(c.info), len(want)); !bytes.Equal(got, want) {
			t.Errorf("key %x, want %x", got, want)
		}
	}
}

// RFC 2268 §5, read backwards: our RC2 only decrypts.
func TestRC2MatchesPublishedVectors(t *testing.T) {
	for _, c := range []struct {
		key           string
		bits          int
		plain, cipher string
	}{
		{"0000000000000000", 63, "0000000000000000", "ebb773f993278eff"},
		{"ffffffffffffffff", 64, "ffffffffffffffff", "278b27e42e2f0d49"},
		{"3000000000000000", 64, "1000000000000001", "30649edf9be7d2c2"},
		{"88", 64, "0000000000000000", "61a8a244adacccf0"},
		{"88bca90e90875a", 64, "0000000000000000", "6ccf4308974c267f"},
		{"88bca90e90875a7f0f79c384627bafb2", 64, "0000000000000000", "1a807d272bbe5db1"},
		{"88bca90e90875a7f0f79c384627bafb2", 128, "0000000000000000", "2269552ab0f85ca6"},
		{"88bca90e90875a7f0f79c384627bafb216f80a6f85920584c42fceb0be255daf1e", 129, "0000000000000000", "5b78d3a43dfff1f1"},
	} {
		got := make([]byte, 8)
		newRC2(unhex(c.key), c.bits).Decrypt(got, unhex(c.cipher))
		if !bytes.Equal(got, unhex(c.plain)) {
			t.Errorf("key %s: %x, want %s", c.key, got, c.plain)
		}
	}
}

// The example of gemSpec_Krypt, section on A_17220. It comes without a key, so what
// it proves is the form.
func TestTheCryptogramOfTheSpecificationIsReadAndWrittenBack(t *testing.T) {
	der := decode64(t, "poGOBgkrJAMDAggBAQd/SUOGQQRouC6tM2TQQ+RP3pptgdAaDF8Te7IVCkUBe2H+PJSLK4W/BXIX"+
		"kndiBwEfftd5wk4pjzCdC2j1q14/CIWcW89nhjEC7G47UAu2ZqmbIhxstkXV3UI2UUek/qwBwtb2"+
		"6aUild+5kkTZXf5674OKHSdj6IFwjggvhYt9b/CTsA==")
	c, err := parseECIES(der)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewBrainpoolKey(c.point); err != nil {
		t.Errorf("ephemeral point: %v", err)
	}
	if len(c.c) != 48 || !bytes.Equal(c.t, unhex("2f858b7d6ff093b0")) || !bytes.Equal(c.encode(), der) {
		t.Errorf("cryptogram %+v", c)
	}
	for i := range der { // every shortened or prolonged form is refused
		if _, err := parseECIES(der[:i]); err == nil {
			t.Errorf("accepted when cut off at %d", i)
		}
	}
	if _, err := parseECIES(append(der, 0)); err == nil {
		t.Error("accepted with a trailing byte")
	}
}
