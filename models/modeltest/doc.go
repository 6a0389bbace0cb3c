// Package modeltest is the suite that every [models.Model] passes, and the third-party
// server that providers for OpenAI's API are tested against.
//
//	func TestMyModel(t *testing.T) {
//		modeltest.Run(t, modeltest.Subject{
//			Open: func(t *testing.T, c modeltest.Case) models.Model {
//				return mymodel.New( /* what makes it answer c.Request with c.Want */ )
//			},
//		})
//	}
//
// A provider for OpenAI's chat completions runs [RunChat] instead, which has [Run] in
// it: the same server, and what it cannot send (streams byte by byte, broken ones,
// failures, silence), what must be sent, and where no key may show.
//
// A new promise of models.Model becomes a case here, never a test of one provider.
package modeltest
