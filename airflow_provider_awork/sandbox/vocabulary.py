"""Names and texts for the seeded data: agencies and IT firms, mostly in Germany."""

FIRST_NAMES = (
    "Anna", "Björn", "Cağla", "Dörte", "Emil", "Françoise", "Günther", "Hanna", "Igor", "Jürgen", "Käthe", "Lukas",
    "Mária", "Nguyệt", "Özlem", "Paweł", "Priya", "Rahul", "Søren", "Tomáš", "Ülkü", "Valérie", "Wolfgang", "Xenia",
    "Yusuf", "Zoë", "Ananya", "Liam", "Mei", "José", "Saoirse", "Jörg",
)  # fmt: skip
LAST_NAMES = (
    "Müller", "Schäfer", "Großmann", "Weiß", "Köhler", "Yıldız", "Kowalczyk", "O'Brien", "Nguyễn", "Sharma", "Patel",
    "Fernández", "Lindqvist", "Svobodová", "Dubois", "van der Meer", "Schmidt-Rothe", "Krüger", "Bauer", "Jäger",
    "Öztürk", "Iyer", "Johnson", "Rossi", "Hübner", "Łukasik",
)  # fmt: skip
COMPANIES = (
    "Müller & Söhne GmbH", "Kaffeerösterei Nordlicht", "Stadtwerke Görlitz AG", "Größenwahn Film", "Ünal Logistik",
    "O'Neill Sports Europe", "Bäckerei Schäfer \"Zum Ofen\"", "Fjällräven & Partner", "Praxis Dr. Weiß", "Zürich Bikes",
    "Hansa-Versicherung a. G.", "Møbelhuset", "Łódź Digital", "Bharat Analytics Pvt. Ltd.", "Hudson Valley Foods Inc.",
    "Verein für Straßenbau e. V.",
)  # fmt: skip
COMPANY_DESCRIPTIONS = (
    "Kunde seit der Gründung, Rahmenvertrag mit monatlicher Abrechnung nach Aufwand; Rechnung an die Zentrale, mit "
    "Bestellnummer und Leistungsnachweis je Projekt.",
    "Key account. Fixed budget per quarter, hourly rates by type of work; all invoices need the purchase order number "
    "and a timesheet that the project lead has signed.",
    "Pilotkunde für das neue Angebot – der Ansprechpartner wechselt im Herbst, bis dahin Freigaben bitte immer "
    "schriftlich; Reisezeiten zählen zur Hälfte.",
)
INDUSTRIES = ("Handel", "Energie", "Medien", "Logistik", "Gesundheit", "Versicherung", "Software", "Öffentliche Hand")
PROJECTS = (
    "Relaunch Website", "Jahresbericht", "App „Unterwegs“", "Kampagne Frühjahr", "ERP-Einführung", "Betrieb & Wartung",
    "Corporate Design", "Data Warehouse", "Messeauftritt", "Onlineshop", "Barrierefreiheit (BITV)", "Cloud-Migration",
)  # fmt: skip
TASKS = (
    "Konzept", "Workshop vorbereiten", "Wireframes", "Gestaltung Startseite", "Texte überarbeiten", "Frontend",
    "Schnittstelle zur Warenwirtschaft", "Datenmigration", "Qualitätssicherung", "Abnahme mit dem Kunden",
    "Projektleitung", "Bug fixing", "Code review", "Deployment", "Schulung der Redaktion", "Fotoshooting",
    "Reporting & Analyse", "Jour fixe",
)  # fmt: skip
PRIVATE_TASKS = ("Spesen abrechnen", "Weiterbildung", "Schreibtisch aufräumen")
TYPES_OF_WORK = (
    ("Beratung", "forum"), ("Konzeption", "lightbulb_outline"), ("Gestaltung", "brush"), ("Entwicklung", "code"),
    ("Projektmanagement", "assignment"), ("Qualitätssicherung", "bug_report"), ("Intern", "home"),
    ("Reisezeit", "train"),
)  # fmt: skip
PROJECT_TYPES = (("Festpreis", "lock"), ("Nach Aufwand", "timer"), ("Retainer", "autorenew"), ("Intern", "home"))
PROJECT_STATUSES = (
    ("Angebot", "not-started"), ("In Arbeit", "progress"), ("Wartet auf Kunden", "stuck"), ("Abgeschlossen", "closed"),
)  # fmt: skip
TASK_STATUSES = (
    ("Offen", "todo", "radio_button_unchecked"), ("In Arbeit", "progress", "arrow_forward"),
    ("Review", "review", "visibility"), ("Erledigt", "done", "check_circle"),
)  # fmt: skip
STATUS_DESCRIPTIONS = (
    "Die Arbeit hat noch nicht begonnen; Zeiten gehören hier nur für Abstimmung und Angebot hin.",
    "Daran wird gerade gearbeitet; Zeiten werden laufend erfasst und wöchentlich geprüft.",
    "Wir warten auf Material oder eine Freigabe; bitte nur Rückfragen und Termine buchen.",
    "Abgeschlossen und abgenommen; weitere Zeiten nur noch nach Rücksprache mit der Leitung.",
)
TEAMS = ("Gestaltung", "Entwicklung", "Beratung", "Übersee")
TAGS = (
    ("dringend", "red"),
    ("Wartung", "blue"),
    ("Nearshore", "green"),
    ("Gewährleistung", "yellow"),
    ("R&D", "purple"),
)
COLORS = ("red", "orange", "yellow", "green", "cyan", "blue", "indigo", "purple", "steel")

NOTES = (
    "Abstimmung mit dem Kunden, offene Punkte notiert",
    "Startseite: Kopfbereich und Navigation überarbeitet",
    "Call with the team in New York",
    "Fehler #4711 behoben – Ursache war die Zeitzone",
    "Größe der Bilder angepasst 🎉",
    "Review der Änderungen von Björn & Özlem",
    "„Über uns“ gemäß Feedback gekürzt",
    'He said "ship it", so we shipped it',
    "Daten übernommen; 3 % Dubletten entfernt 👩‍💻",
    "1. Angebot gelesen\n2. Rückfragen gesammelt\n3. Schätzung geschickt",
    "Telefonat\r\nProtokoll liegt im Ordner C:\\Projekte\\Müller",
    "Jour fixe + Nachbereitung",
    "स्टैंडअप और योजना",
    "Vorbereitung Workshop: Räume, Material, Ablauf",
    "Deployment; rollback geübt 🚀🚀",
    "=SUMME(A1:A9) im Bericht korrigiert",
)
LONG_NOTE = (
    "Protokoll des Termins: Ziele, Rahmen und offene Fragen durchgesprochen. Der Kunde wünscht eine Lösung, die ohne "
    "Schulung bedienbar ist, und liefert bis Freitag die fehlenden Texte (Straße, Öffnungszeiten, Anfahrt). Offen: wer "
    "gibt frei? Was gilt für Übersetzungen? Nächster Schritt: Entwurf „B“ ausarbeiten und bis Montag schicken. 📝\n"
)
ABSENCES = ("Urlaub", "Elternzeit", "Fortbildung", "Überstundenausgleich")
