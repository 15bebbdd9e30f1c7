// What the page says about its data: scale, rubrics, marks of thoughts, hidden characters.

export const meta = JSON.parse(document.getElementById("meta").textContent);
Object.setPrototypeOf(meta.rubrics, null); // a rubric may be named "constructor"
