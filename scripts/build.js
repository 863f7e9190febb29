/** `npm run build`: the setup and nothing after it. */

"use strict";

require("./setup/node-version").requireNode();

const { setUp } = require("./setup");
const { runScript } = require("./setup/step-failed");

runScript(setUp);
