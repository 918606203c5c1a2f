// Sphinx's scores of search results, with the entries of the sheet before the functions of the same name.
var Scorer = {
  score: ([docname, title, anchor, descr, score]) => (docname.startsWith("entries/") ? score + 100 : score),
  objNameMatch: 11, objPartialMatch: 6, objPrio: { 0: 15, 1: 5, 2: -5 }, objPrioDefault: 0,
  title: 15, partialTitle: 7, term: 5, partialTerm: 2,
};
