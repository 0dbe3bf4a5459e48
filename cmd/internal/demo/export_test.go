package demo

// What the tests look at one by one.
var (
	CheckLoopback = checkLoopback
	FreePlace     = freePlace
	AnswerOf      = answerOf
)
