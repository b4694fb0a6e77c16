//go:build linux && (amd64 || arm64)

//nolint:gosec // this file exists to hand memory to a C library
package main

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"
)

// The part of PKCS#11 2.40 that key agreement needs, for systems where CK_ULONG has
// eight bytes and structures are not packed (all Unix systems of 64 bits).

type ulong = uint64

// functionList is CK_FUNCTION_LIST: a version, padded, and pointers to functions.
type functionList struct {
	_  [8]byte
	fn [68]uintptr
}

// Positions in the list (pkcs11f.h).
const (
	fnInitialize        = 0
	fnFinalize          = 1
	fnGetSlotList       = 4
	fnGetTokenInfo      = 6
	fnOpenSession       = 12
	fnLogin             = 18
	fnCreateObject      = 20
	fnDestroyObject     = 22
	fnGetAttributeValue = 24
	fnFindObjectsInit   = 26
	fnFindObjects       = 27
	fnFindObjectsFinal  = 28
	fnDeriveKey         = 62
)

// Constants of pkcs11t.h.
const (
	ckrOK = 0

	ckfRWSession     = 2
	ckfSerialSession = 4
	ckuUser          = 1

	ckoCertificate = 1
	ckoPrivateKey  = 3
	ckoSecretKey   = 4

	ckkGenericSecret = 0x10

	ckaClass       = 0x000
	ckaToken       = 0x001
	ckaValue       = 0x011
	ckaKeyType     = 0x100
	ckaID          = 0x102
	ckaSensitive   = 0x103
	ckaExtractable = 0x162
	ckaValueLen    = 0x161

	ckmECDH1Derive = 0x1050
	ckdNull        = 1

	unavailable = ^ulong(0)
)

// attribute is CK_ATTRIBUTE.
type attribute struct {
	kind  ulong
	value unsafe.Pointer
	size  ulong
}

// mechanism is CK_MECHANISM.
type mechanism struct {
	kind  ulong
	param unsafe.Pointer
	size  ulong
}

// ecdhParams is CK_ECDH1_DERIVE_PARAMS.
type ecdhParams struct {
	kdf        ulong
	sharedSize ulong
	shared     unsafe.Pointer
	publicSize ulong
	public     unsafe.Pointer
}

// module is a loaded PKCS#11 library. Not for several goroutines at a time.
type module struct {
	list *functionList
}

func loadModule(path string) (*module, error) {
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("loading %q: %w", path, err)
	}
	getList, err := purego.Dlsym(handle, "C_GetFunctionList")
	if err != nil {
		return nil, fmt.Errorf("loading %q: it is no PKCS#11 library: %w", path, err)
	}
	m := new(module)
	if rv, _, _ := purego.SyscallN(getList, uintptr(unsafe.Pointer(&m.list))); rv != ckrOK || m.list == nil {
		return nil, fmt.Errorf("loading %q: C_GetFunctionList: error %#x", path, rv)
	}
	if err := m.call(fnInitialize, "C_Initialize", 0); err != nil {
		return nil, fmt.Errorf("loading %q: %w", path, err)
	}
	return m, nil
}

// call makes one call into the library. The directive keeps what the arguments point
// at alive and in place; what that points at in turn, callers pin.
//
//go:uintptrescapes
func (m *module) call(index int, name string, args ...uintptr) error {
	if rv, _, _ := purego.SyscallN(m.list.fn[index], args...); rv != ckrOK {
		return &ckError{name, rv}
	}
	return nil
}

// ckError is a return value other than CKR_OK.
type ckError struct {
	function string
	rv       uintptr
}

func (e *ckError) Error() string {
	names := map[uintptr]string{
		0x31: "device removed", 0xa0: "PIN incorrect", 0xa4: "PIN locked", 0xe0: "token not present",
		0x68: "key function not permitted", 0x70: "mechanism invalid", 0x71: "mechanism parameter invalid",
	}
	if name, ok := names[e.rv]; ok {
		return e.function + ": " + name
	}
	return fmt.Sprintf("%s: error %#x", e.function, e.rv)
}

// finalize ends the use of the library; the process ends right after.
func (m *module) finalize() { _ = m.call(fnFinalize, "C_Finalize", 0) }

// slot finds the token with that label, or the first.
func (m *module) slot(label string) (ulong, error) {
	var count ulong
	if err := m.call(fnGetSlotList, "C_GetSlotList", 1, 0, uintptr(unsafe.Pointer(&count))); err != nil {
		return 0, err
	}
	if count == 0 {
		return 0, fmt.Errorf("no token is present")
	}
	slots := make([]ulong, count)
	if err := m.call(fnGetSlotList, "C_GetSlotList", 1, uintptr(unsafe.Pointer(&slots[0])), uintptr(unsafe.Pointer(&count))); err != nil {
		return 0, err
	}
	for _, slot := range slots[:count] {
		var info [512]byte // CK_TOKEN_INFO, the label first
		if err := m.call(fnGetTokenInfo, "C_GetTokenInfo", uintptr(slot), uintptr(unsafe.Pointer(&info[0]))); err != nil {
			continue
		}
		if have := strings.TrimRight(string(bytes.TrimRight(info[:32], "\x00")), " "); label == "" || have == label {
			return slot, nil
		}
	}
	return 0, fmt.Errorf("no token has the label %q", label)
}

// session is a logged-in token.
type session struct {
	m      *module
	handle ulong
}

func (m *module) open(label, pin string, flags uintptr) (*session, error) {
	slot, err := m.slot(label)
	if err != nil {
		return nil, err
	}
	s := &session{m: m}
	if err := m.call(fnOpenSession, "C_OpenSession", uintptr(slot), flags, 0, 0, uintptr(unsafe.Pointer(&s.handle))); err != nil {
		return nil, err
	}
	p := append([]byte(pin), 0) // never empty, so that it has an address
	if err := m.call(fnLogin, "C_Login", uintptr(s.handle), ckuUser, uintptr(unsafe.Pointer(&p[0])), uintptr(len(pin))); err != nil {
		return nil, err
	}
	return s, nil
}

// template lays out attributes for C; the pinner keeps their values in place.
func template(pin *runtime.Pinner, attrs map[ulong][]byte) []attribute {
	list := make([]attribute, 0, len(attrs))
	for kind, value := range attrs {
		a := attribute{kind: kind, size: ulong(len(value))}
		if len(value) > 0 {
			pin.Pin(&value[0])
			a.value = unsafe.Pointer(&value[0])
		}
		list = append(list, a)
	}
	pin.Pin(&list[0])
	return list
}

func ulongBytes(v ulong) []byte {
	b := make([]byte, 8)
	*(*ulong)(unsafe.Pointer(&b[0])) = v // in the machine's byte order, as C expects
	return b
}

// find returns the objects with these attributes, at most 256.
func (s *session) find(attrs map[ulong][]byte) ([]ulong, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	list := template(&pin, attrs)
	if err := s.m.call(fnFindObjectsInit, "C_FindObjectsInit", uintptr(s.handle), uintptr(unsafe.Pointer(&list[0])), uintptr(len(list))); err != nil {
		return nil, err
	}
	found := make([]ulong, 256)
	var count ulong
	err := s.m.call(fnFindObjects, "C_FindObjects", uintptr(s.handle), uintptr(unsafe.Pointer(&found[0])), uintptr(len(found)), uintptr(unsafe.Pointer(&count)))
	if finalErr := s.m.call(fnFindObjectsFinal, "C_FindObjectsFinal", uintptr(s.handle)); err == nil {
		err = finalErr
	}
	return found[:min(count, ulong(len(found)))], err
}

// value reads one attribute of an object.
func (s *session) value(object, kind ulong) ([]byte, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	a := &attribute{kind: kind}
	pin.Pin(a)
	get := func() error {
		return s.m.call(fnGetAttributeValue, "C_GetAttributeValue", uintptr(s.handle), uintptr(object), uintptr(unsafe.Pointer(a)), 1)
	}
	const most = 1 << 16
	if err := get(); err != nil || a.size == unavailable || a.size > most || a.size == 0 {
		return nil, err
	}
	b := make([]byte, a.size)
	pin.Pin(&b[0])
	a.value = unsafe.Pointer(&b[0])
	if err := get(); err != nil {
		return nil, err
	}
	return b[:min(a.size, ulong(len(b)))], nil
}

// derive computes the shared coordinate and destroys the object it passed through.
func (s *session) derive(key ulong, public []byte) ([]byte, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	params := &ecdhParams{kdf: ckdNull, publicSize: ulong(len(public)), public: unsafe.Pointer(&public[0])}
	pin.Pin(&public[0])
	pin.Pin(params)
	mech := &mechanism{kind: ckmECDH1Derive, param: unsafe.Pointer(params), size: ulong(unsafe.Sizeof(*params))}
	pin.Pin(mech)
	list := template(&pin, map[ulong][]byte{
		ckaClass: ulongBytes(ckoSecretKey), ckaKeyType: ulongBytes(ckkGenericSecret), ckaToken: {0},
		ckaSensitive: {0}, ckaExtractable: {1}, ckaValueLen: ulongBytes(32),
	})
	var secret ulong
	if err := s.m.call(fnDeriveKey, "C_DeriveKey", uintptr(s.handle), uintptr(unsafe.Pointer(mech)), uintptr(key),
		uintptr(unsafe.Pointer(&list[0])), uintptr(len(list)), uintptr(unsafe.Pointer(&secret))); err != nil {
		return nil, err
	}
	shared, err := s.value(secret, ckaValue)
	if destroyErr := s.m.call(fnDestroyObject, "C_DestroyObject", uintptr(s.handle), uintptr(secret)); err == nil {
		err = destroyErr
	}
	return shared, err
}
