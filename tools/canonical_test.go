package tools

import "testing"

func TestCanonical(t *testing.T) {
	tests := []struct{ in, want string }{
		// The examples of RFC 8785, sections 3.2.2 and 3.2.3.
		{`{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}`,
			`{"literals":[null,true,false],"numbers":[333333333.33333329,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`},
		{`{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}`,
			"{\"\\r\":2,\"1\":4,\"\u0080\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\ufb33\":3}"},
		{`[0, -0, 1, -1, 10, 1e20, 1e21, 123e19, 1e-6, 1e-7, 12.5e-8, 0.10, 100.0, 1000000000000000000000000001]`,
			`[0,0,1,-1,10,100000000000000000000,1e+21,1.23e+21,0.000001,1e-7,1.25e-7,0.1,100,1.000000000000000000000000001e+27]`},
	}
	for _, tt := range tests {
		v, err := parse(tt.in)
		if err != nil {
			t.Fatal(err)
		}
		got := string(appendCanonical(nil, v))
		if got != tt.want {
			t.Errorf("canonical form of %s\n got %s\nwant %s", tt.in, got, tt.want)
		}
		again, err := parse(got)
		if err != nil || string(appendCanonical(nil, again)) != got {
			t.Errorf("%s is not its own canonical form: %v", got, err)
		}
	}
}
