package network

import (
	"encoding/json"
	"os"
	"testing"

	"linwin/agent/wire"
)

// TestInterfacesOfTheVectors replays what the host may say of an interface.
func TestInterfacesOfTheVectors(t *testing.T) {
	text, err := os.ReadFile("../../protocol/vectors/interfaces.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []struct {
			Name      string
			Interface wire.Interface
			Message   *string
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, v := range file.Vectors {
		_, err := parse(v.Interface)
		switch {
		case err == nil && v.Message != nil:
			t.Errorf("%s: taken, want %q", v.Name, *v.Message)
		case err != nil && (v.Message == nil || err.Error() != *v.Message):
			t.Errorf("%s: %v", v.Name, err)
		}
	}
	if len(file.Vectors) < 15 {
		t.Errorf("only %d vectors were replayed", len(file.Vectors))
	}
}

func TestAPlanHoldsWhatWasAsked(t *testing.T) {
	p, err := parse(wire.Interface{
		MAC: "02:42:AC:1E:07:02", Addresses: []string{"172.30.7.2/24", "fd00:7::2/64"}, Gateway6: "fd00:7::1",
		DNS: []string{"172.30.7.1"}, Search: []string{"example.test"}, MTU: 1400,
	})
	if err != nil {
		t.Fatal(err)
	}
	if p.mac.String() != "02:42:ac:1e:07:02" || len(p.addresses) != 2 || p.addresses[1].String() != "fd00:7::2/64" ||
		len(p.gateways) != 1 || p.gateways[0].String() != "fd00:7::1" || p.servers[0].String() != "172.30.7.1" ||
		p.search[0] != "example.test" || p.mtu != 1400 || !p.hasV6() {
		t.Errorf("parsed %+v", p)
	}
}

func TestLongNamesAreNoDomains(t *testing.T) {
	label := "a23456789012345678901234567890123456789012345678901234567890123"
	if !isDomain(label+".b") || isDomain(label+"4.b") || isDomain(label+"."+label+"."+label+"."+label+".b") || isDomain("a..b") {
		t.Error("a label has at most 63 letters and a name 253")
	}
}
