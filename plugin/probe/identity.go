package probe

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
)

// parseIdentity returns the machineIdentifier of a MediaContainer, in XML or JSON, and false if body does not
// begin with one that has it.
//
// https://plexapi.dev, GET /identity: <MediaContainer size="0" machineIdentifier="..." version="..."/>, or
// {"MediaContainer":{"machineIdentifier":"..."}} when JSON is asked for.
func parseIdentity(body []byte) (id string, ok bool) {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if body = bytes.TrimSpace(body); bytes.HasPrefix(body, []byte("{")) {
		id = jsonIdentity(body)
	} else {
		id = xmlIdentity(body)
	}
	return id, id != ""
}

func jsonIdentity(body []byte) string {
	var answer struct {
		MediaContainer struct {
			MachineIdentifier string `json:"machineIdentifier"`
		}
	}
	if json.Unmarshal(body, &answer) != nil {
		return ""
	}
	return answer.MediaContainer.MachineIdentifier
}

// xmlIdentity reads the root element alone: what comes after it does not matter.
func xmlIdentity(body []byte) string {
	d := xml.NewDecoder(bytes.NewReader(body))
	for {
		token, err := d.Token()
		if err != nil {
			return ""
		}
		root, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if root.Name.Local != "MediaContainer" {
			return ""
		}
		for _, attr := range root.Attr {
			if attr.Name.Local == "machineIdentifier" {
				return attr.Value
			}
		}
		return ""
	}
}
