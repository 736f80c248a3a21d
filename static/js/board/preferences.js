// What a person prefers on this device. Kept by person: two who share a computer do not share their choices.

const { person } = document.getElementById("board").dataset;
const nameOf = (name) => `peringkat:${person}:${name}`;

export function preference(name, otherwise) {
  try {
    return localStorage.getItem(nameOf(name)) ?? otherwise;
  } catch {
    return otherwise; // storage is forbidden: the page works all the same
  }
}

export function prefer(name, value) {
  try {
    localStorage.setItem(nameOf(name), value);
  } catch {
    // The choice holds until the page is left.
  }
}
