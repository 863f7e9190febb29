"""More ways to ask the same, for training alone: the evaluation never draws from here.

Most are put together from a frame ("I would like to know {np}.") and what is asked for ("the capital of {place}"), so that the
model learns to find the matter in any frame. They are filed under the first wording of the list that they add to.
"""

FRAMES = {
    "en": [
        "What is {np}?", "What's {np}?", "what is {np}", "Tell me {np}.", "Tell me what {np} is.", "Give me {np}.", "Name {np}.", "I want to know {np}.", "I would like to know {np}.", "I'd like to know {np}.", "I need {np}.", "I need to know {np}.",
        "Do you know {np}?", "Do you know what {np} is?", "Can you tell me {np}?", "Can you tell me what {np} is?", "Could you tell me {np}?", "Could you please tell me {np}?", "Can you give me {np}?", "I wonder what {np} is.", "I am asking for {np}.", "Let me know {np}.",
        "Say {np}.", "State {np}.", "Find {np}.", "And {np}?", "What about {np}?", "What would {np} be?", "What was {np} again?", "Remind me of {np}.", "Now tell me {np}.", "Please give me {np}.", "Any idea what {np} is?", "{np}?", "{np}", "{np}, please.",
    ],
    "pt": [
        "Qual é {np}?", "Qual seria {np}?", "qual é {np}", "Me diga {np}.", "Diga-me {np}.", "Diga {np}.", "Diga qual é {np}.", "Quero saber {np}.", "Quero saber qual é {np}.", "Preciso saber {np}.", "Gostaria de saber {np}.", "Você sabe {np}?", "Sabe qual é {np}?", "Pode me dizer {np}?",
        "Pode me dizer qual é {np}?", "Você pode me dizer qual é {np}?", "Me fale {np}.", "Me conte qual é {np}.", "Agora diga {np}.", "E {np}?", "Qual era mesmo {np}?", "{np}?", "{np}", "{np}, por favor.", "{np} é qual?",
    ],
}
REQUESTS = {
    "en": [
        "I want {np}.", "I would like {np}.", "I'd like {np}.", "I would love {np}.", "Give me {np}.", "Can you give me {np}?", "Could you give me {np}?", "Can I have {np}?", "Could I have {np}?", "May I have {np}?", "I need {np}.", "Let me have {np}.", "Write {np}.", "Write {np} for me.",
        "Can you write {np}?", "Could you write {np}?", "Please write {np}.", "Make {np}.", "Make me {np}.", "Show me {np}.", "Let me see {np}.", "Do you have {np}?", "How about {np}?", "{np}, please.", "{np}", "{np} for me, please.", "Please, {np}!", "Now {np}.", "Time for {np}.",
    ],
    "pt": [
        "Quero {np}.", "Eu quero {np}.", "Queria {np}.", "Gostaria de {np}.", "Me dê {np}.", "Pode me dar {np}?", "Você pode escrever {np}?", "Escreva {np}.", "Escreva {np} para mim.", "Faça {np}.", "Me faça {np}.", "Preciso de {np}.", "Mostre {np}.", "Me mostre {np}.", "{np}, por favor.", "{np}", "Que tal {np}?", "Agora {np}.",
    ],
}
TELLINGS = {
    "en": ["Tell {np}.", "Tell me {np}.", "Please tell me {np}.", "Can you tell me {np}?", "Could you tell me {np}?", "I want to hear {np}.", "I'd like to hear {np}.", "Let me hear {np}.", "Will you tell me {np}?", "Do you know {np}?", "Do you have {np} for me?"],
    "pt": ["Conte {np}.", "Me conte {np}.", "Conta {np}.", "Você pode contar {np}?", "Pode me contar {np}?", "Quero ouvir {np}.", "Gostaria de ouvir {np}.", "Você sabe {np}?", "Você conhece {np}?"],
}


def framed(frames, *matters):
    """Every matter in every frame."""
    return [first_upper(frame.replace("{np}", matter)) for frame in frames for matter in matters]


def first_upper(text):
    """A capital first letter, or an unchanged first placeholder."""
    return text[0].upper() + text[1:]


def asked(language, *matters):
    """Questions for something that has a name."""
    return framed(FRAMES[language], *matters)


def wanted(language, *matters):
    """Requests for something to be made."""
    return framed(REQUESTS[language], *matters)


def told(language, *matters):
    """Requests for something to be made or told."""
    return framed(REQUESTS[language] + TELLINGS[language], *matters)


MORE = {
    # facts
    "What is the capital of {place}?": asked("en", "the capital of {place}", "the capital of {place}", "the capital city of {place}", "{place}'s capital", "the capital of the country {place}") + ["Which city is {place}'s capital?", "{place} has which capital?", "What city is the capital of {place}?", "{place}: capital?", "The country is {place}. What is its capital?", "What do they call the capital of {place}?"],
    "Qual é a capital {place}?": asked("pt", "a capital {place}", "a capital {place}", "a cidade capital {place}") + ["Que cidade é a capital {place}?", "Como se chama a capital {place}?"],
    "What colour is {thing}?": asked("en", "the colour of {thing}", "the color of {thing}") + ["{thing}: what colour?", "What color does {thing} have?", "What colour would {thing} be?", "Of what colour is {thing}?", "In what colour do I paint {thing}?", "Say what colour {thing} is.", "Tell me what color {thing} is.", "Do you know what colour {thing} is?", "What is {thing}'s colour?", "Which color is {thing}?", "I want to know which colour {thing} has."],
    "Qual é a cor de: {thing}?": ["Diga a cor: {thing}.", "Que cor é {thing}?", "{thing} tem que cor?", "{thing} é de que cor?", "Sabe de que cor é {thing}?", "Quero saber de que cor é {thing}.", "Me diga que cor tem {thing}.", "Pode me dizer a cor: {thing}?"],
    "What is the opposite of {word}?": asked("en", "the opposite of {word}", "the opposite of {word}", "the contrary of {word}", "the word opposite to {word}", "an opposite for {word}") + ["{word}: opposite?", "What is the opposite word of {word}?", "Which word means the opposite of {word}?", "What word is opposite to {word}?", "The opposite of {word} is what?", "I say {word}, you say the opposite."],
    "Qual é o oposto de {word}?": asked("pt", "o oposto de {word}", "o contrário de {word}", "a palavra oposta a {word}") + ["{word}: qual o oposto?", "Que palavra é o contrário de {word}?"],
    "What {unit} comes after {x}?": asked("en", "the {unit} after {x}", "the {unit} that follows {x}", "the next {unit} after {x}") + ["Which {unit} follows {x}?", "What follows {x}?", "What is after {x}?", "After {x} comes what?", "After {x}, which {unit} is next?", "Today is {x}. What comes after it?", "Which is the {unit} after {x}?", "Say what comes after {x}."],
    "Que {unit} vem depois de {x}?": asked("pt", "o {unit} depois de {x}", "o {unit} que vem depois de {x}") + ["Depois de {x} vem o quê?", "O que vem logo depois de {x}?", "Que {unit} é depois de {x}?", "Sabe que {unit} vem depois de {x}?"],
    "What {unit} comes before {x}?": asked("en", "the {unit} before {x}", "the {unit} that is before {x}") + ["What is before {x}?", "Before {x} comes what?", "Before {x}, which {unit} was it?", "Which is the {unit} before {x}?", "What {unit} is right before {x}?", "Say what comes before {x}.", "What {unit} do we have before {x}?"],
    "Que {unit} vem antes de {x}?": asked("pt", "o {unit} antes de {x}", "o {unit} que vem antes de {x}") + ["Antes de {x} vem o quê?", "O que vem logo antes de {x}?", "Que {unit} é antes de {x}?"],
    "Name the days of the week.": asked("en", "the days of the week", "all days of the week", "the seven days") + ["Which days does a week have?", "What days are in a week?"],
    "Name the months of the year.": asked("en", "the months of the year", "all months of the year", "the twelve months") + ["Which months does a year have?", "What months are in a year?"],
    "Quais são os dias da semana?": ["Quero saber os dias da semana.", "Os dias da semana, por favor.", "Que dias tem a semana?", "Me diga os sete dias da semana."],
    "Quais são os meses do ano?": ["Quero saber os meses do ano.", "Os meses do ano, por favor.", "Que meses tem o ano?", "Me diga os doze meses do ano."],
    # sums
    "What is {a} + {b}?": asked("en", "{a} + {b}", "{a} plus {b}", "the sum of {a} and {b}", "the result of {a} + {b}") + ["{a}+{b}", "{a}+{b}=", "{a} and {b} make what?", "If I add {b} to {a}, what do I get?", "Add {b} to {a}.", "Please add {a} and {b}.", "Sum {a} and {b}.", "How much do {a} and {b} make?", "I have {a} and get {b} more. How many are they?", "Work out {a} + {b}.", "Compute {a} + {b}."],
    "Quanto é {a} + {b}?": ["{a}+{b}", "{a}+{b}=", "{a} mais {b} é quanto?", "Quanto dá {a} mais {b}?", "Quanto dá {a} + {b}?", "Me diga quanto é {a} + {b}.", "Pode somar {a} e {b}?", "Some {b} a {a}.", "Quero saber quanto é {a} mais {b}.", "Qual é o resultado de {a} + {b}?"],
    "What is {a} - {b}?": asked("en", "{a} - {b}", "{a} minus {b}", "{a} less {b}", "the result of {a} - {b}") + ["{a}-{b}", "{a}-{b}=", "Please subtract {b} from {a}.", "Subtract {b} from {a}.", "Can you subtract {b} from {a}?", "Take {b} from {a}.", "{b} taken from {a}?", "What is left of {a} without {b}?", "I have {a} and lose {b}. How many are left?", "If you take {b} from {a}, what is left?", "Work out {a} - {b}.", "Remove {b} from {a}."],
    "Quanto é {a} - {b}?": ["{a}-{b}", "{a}-{b}=", "{a} menos {b} é quanto?", "Quanto dá {a} menos {b}?", "Subtraia {b} de {a}.", "Tire {b} de {a}.", "Quero saber quanto é {a} menos {b}.", "Qual é o resultado de {a} - {b}?"],
    # counting
    "Count to {n}.": ["Count till {n}.", "Count until {n}.", "Count 1 to {n}.", "Could you count to {n}?", "Would you count up to {n}?", "Let me hear you count to {n}.", "I would like you to count up to {n}.", "Numbers from 1 to {n}, please.", "Write the numbers from 1 to {n}.", "List the numbers from 1 to {n}.", "Give me the numbers 1 to {n}.", "Start at 1 and stop at {n}.", "Begin with 1 and count to {n}.", "Now count to {n}.", "Can you count up to {n} for me?", "Count all the way to {n}."],
    "Conte até {n}.": ["Conte até chegar a {n}.", "Pode contar até {n}?", "Conte para mim até {n}.", "Escreva os números de 1 a {n}.", "Diga os números de 1 até {n}.", "Comece em 1 e pare em {n}.", "Agora conte até {n}.", "Os números de 1 a {n}, por favor."],
    "Count from {a} to {b}.": ["Count {a} to {b}.", "Count from {a} up to {b}.", "Count from {a} until {b}.", "Could you count from {a} to {b}?", "Numbers from {a} to {b}, please.", "Write the numbers from {a} to {b}.", "List the numbers from {a} to {b}.", "Give me the numbers {a} to {b}.", "Start at {a} and stop at {b}.", "Begin with {a} and count up to {b}.", "Start with {a} and go to {b}.", "Begin at {a} and end at {b}.", "I want the numbers from {a} to {b}.", "Start counting at {a}, stop at {b}."],
    "Conte de {a} a {b}.": ["Conte desde {a} até {b}.", "Pode contar de {a} até {b}?", "Escreva os números de {a} a {b}.", "Comece em {a} e pare em {b}.", "Comece com {a} e vá até {b}.", "Os números de {a} a {b}, por favor."],
    "Count down from {n}.": ["Count down from {n}, please.", "Countdown from {n}.", "Countdown from {n} to 1.", "Count back from {n}.", "Could you count down from {n}?", "Start at {n} and count down to 1.", "Begin with {n} and count down.", "Give me a countdown from {n}.", "From {n} down to 1.", "Start with {n} and go down to 1.", "Numbers from {n} down to 1, please."],
    "Conte de {n} até 1.": ["Conte de {n} para trás.", "Pode contar de {n} até 1?", "Comece em {n} e vá até 1.", "Contagem regressiva de {n}.", "Uma contagem regressiva a partir de {n}."],
    # greetings
    "Hello": ["Hello, how can you help?", "Hello my friend!", "Hi friend", "Hey there!", "Hey Tiny!", "Hello again!", "Hi, Tiny!", "Well, hello!", "Hello, nice to see you.", "Hello to you!", "Say hi to me.", "Hi, I am back.", "Hello hello!", "Howdy!", "Hi :)", "helo", "hii"],
    "Good morning!": ["Good morning to you!", "Morning!", "Good morning, my friend!", "I wish you a good morning.", "Hello, good morning!", "Nice morning!"],
    "Good evening!": ["Good evening to you!", "Evening!", "Good evening, my friend!", "I wish you a good evening.", "Hello, good evening!", "Nice evening!"],
    "How are you?": ["How are you now?", "How do you feel?", "How are things?", "How is everything?", "Are you fine?", "Are you okay?", "Are you doing well?", "Do you feel well?", "Is everything well?", "And how are you?", "Hi, how are you?", "Hello, how are you doing?", "How are you feeling today?", "How have you been?", "What's up?", "Everything okay?", "how r u"],
    "Thank you!": ["Thank you so much!", "Thank you, Tiny.", "Thanks, Tiny!", "Thanks so much.", "Thank you a lot.", "Very kind, thank you.", "Great, thanks!", "I thank you.", "Okay, thank you.", "That is nice, thank you!", "Thanks for your help.", "Thank you for the answer.", "thx"],
    "Goodbye!": ["Goodbye, Tiny!", "Bye, Tiny.", "Bye for now!", "I have to go, bye.", "I must go now. Goodbye!", "See you soon!", "See you tomorrow!", "Until next time!", "Farewell!", "Good night, Tiny.", "Have a good night!", "Okay, bye!", "So long!"],
    "Olá": ["Oi, Tiny", "Olá, meu amigo!", "Oi, amigo", "Oi oi!", "Olá de novo!", "Diga oi.", "Olá, tudo bem?", "Olá pra você!"],
    "Bom dia!": ["Bom dia, meu amigo!", "Bom dia para você!", "Olá, bom dia!", "Oi, bom dia!", "Desejo um bom dia."],
    "Boa noite!": ["Boa noite, meu amigo!", "Boa noite para você!", "Olá, boa noite!", "Oi, boa noite!"],
    "Como vai?": ["Como está?", "Como você se sente?", "E você, como está?", "Está tudo bem com você?", "Você está bem hoje?", "Oi, como você está?", "Como andam as coisas?"],
    "Obrigado!": ["Obrigado, Tiny!", "Obrigada, Tiny.", "Muito obrigado pela ajuda.", "Obrigado pela resposta!", "Valeu!", "Agradeço."],
    "Tchau!": ["Tchau, Tiny!", "Até amanhã!", "Até breve!", "Tchau tchau!", "Tenho que ir, tchau.", "Até a próxima!"],
    # identity
    "Who are you?": ["Who are you exactly?", "Who am I speaking with?", "Who am I speaking to?", "Who is there?", "Who is talking?", "Who is answering me?", "Say who you are.", "Say your name.", "What are you called?", "What do they call you?", "How are you called?", "Please introduce yourself.", "Can you introduce yourself?", "Tell me about yourself.", "Tell me something about you.", "I want to know who you are.", "I would like to know your name.", "Can you tell me your name?", "May I know your name?", "Which name do you have?", "Do you have any name?", "And you are?", "And what is your name?", "Your name?", "Who r u", "So who are you?", "What kind of thing are you?", "What is this?"],
    "Who made you?": ["Who has made you?", "Who trained you?", "Who wrote you?", "Who programmed you?", "Who is behind you?", "Who is your creator?", "Where were you made?", "Where are you from?", "How were you made?", "By whom were you made?", "Tell me who made you.", "Do you know who made you?"],
    "What can you do?": ["What can you do for me?", "What are you able to do?", "What else can you do?", "What can I ask you?", "What do you know how to do?", "How can you help?", "Can you help me?", "Tell me what you can do.", "What are you for?", "What is it that you can do?", "In what can you help me?", "What things can you do?", "Which skills do you have?"],
    "Are you a human?": ["Are you real?", "Are you a machine?", "Are you a computer?", "Are you a bot?", "Are you a real person?", "Are you a man?", "Are you a woman?", "Am I talking to a human?", "Are you a language model?", "Is this a robot?", "Are you artificial?", "Do you live?"],
    "How old are you?": ["How old are you now?", "Which age do you have?", "Tell me your age.", "What year were you born in?", "When is your birthday?", "Your age?", "Are you old?", "Are you young?", "How many years old are you?", "Can you tell me your age?"],
    "Quem é você?": ["Quem está falando?", "Qual o seu nome?", "Qual é seu nome?", "Diga o seu nome.", "Me diga o seu nome.", "Me diga quem é você.", "Como é o seu nome?", "Você tem nome?", "Apresente-se.", "Fale sobre você.", "Posso saber o seu nome?", "E você, quem é?", "Como posso te chamar?"],
    "Quem fez você?": ["Quem te fez?", "Quem programou você?", "Quem treinou você?", "Quem é o seu criador?", "Por quem você foi feito?", "Como você foi feito?", "De onde você é?"],
    "O que você sabe fazer?": ["O que sabe fazer?", "O que você consegue fazer?", "Você pode me ajudar?", "Em que você pode me ajudar?", "Para que você serve?", "O que posso perguntar?", "Me diga o que você sabe fazer."],
    "Você é humano?": ["Você é uma máquina?", "Você é um computador?", "Você é real?", "Você é uma pessoa real?", "Estou falando com um humano?", "Você é um bot?"],
    # memory: what is told
    "My name is {x}.": ["My name's {x}.", "The name is {x}.", "They call me {x}.", "{x} is my name.", "My friends call me {x}.", "This is {x}.", "Hey, I'm {x}.", "Hi, I'm {x}.", "Hi! I am {x}.", "Hello! I'm {x}.", "Hi! My name is {x}, how are you?", "Hello, I'm {x}, good to meet you.", "Hey! I am {x}, hello.", "I'm called {x}.", "I am called {x}.", "Please call me {x}.", "Everyone calls me {x}.", "You are talking to {x}.", "Hi, {x} here.", "It's me, {x}.", "My first name is {x}.", "Remember my name: {x}.", "Hello Tiny, I am {x}.", "I go by {x}.", "Nice to meet you, I am {x}.", "Good morning, I am {x}."],
    "I live in {x}.": ["I live in {x} with my family.", "I'm living in {x}.", "I am living in {x}.", "I'm from {x}.", "I come from {x}.", "I have a house in {x}.", "My house is in {x}.", "My home is {x}.", "My home is the city of {x}.", "The city I live in is {x}.", "The town where I live is {x}.", "The place I live in is {x}.", "{x} is my city.", "{x} is where I live.", "I moved to {x}.", "I stay in {x}.", "My town is {x}.", "We live in {x}.", "You can find me in {x}."],
    "I am {x} years old.": ["I am {x}.", "I'm {x} now.", "I'm {x} years old now.", "I am now {x} years old.", "My age is {x} years.", "I have been alive for {x} years.", "I just turned {x}.", "I became {x} years old.", "Today I am {x} years old.", "{x} is my age.", "I was born {x} years ago."],
    "My {pet} is called {x}.": ["My {pet} is named {x}.", "My {pet} is {x}.", "I have a {pet}. It is called {x}.", "I have a {pet}, {x}.", "I have a {pet} and it is called {x}.", "There is a {pet} at home called {x}.", "I call my {pet} {x}.", "We call our {pet} {x}.", "I named my {pet} {x}.", "{x} is my {pet}.", "{x} is the name of my {pet}.", "My little {pet} is called {x}.", "The {pet} I have is called {x}.", "The name that my {pet} has is {x}.", "This is my {pet} {x}."],
    "My favourite colour is {x}.": ["I like {x} best of all colours.", "{x} is my favourite colour.", "{x} is my favorite color.", "{x} is the colour I like.", "I love the colour {x}.", "I love the color {x}.", "My colour is {x}.", "The colour I love is {x}.", "Of all colours I like {x} most.", "My best colour is {x}.", "The color I like most is {x}."],
    "My favourite food is {x}.": ["I like {x} best of all food.", "{x} is my favourite food.", "{x} is my favorite food.", "I love to eat {x}.", "I love eating {x}.", "The food I love is {x}.", "Of all food I like {x} most.", "What I like to eat is {x}.", "My best food is {x}.", "I like eating {x} most."],
    "The secret word is {x}.": ["The word is {x}.", "The word to remember is {x}.", "My secret word is {x}.", "My password is {x}.", "Keep the word {x}.", "Keep this word: {x}.", "Note this word: {x}.", "Do not forget the word {x}.", "Please remember this word: {x}.", "Learn this word: {x}.", "I tell you a word: {x}.", "Here is a word for you: {x}.", "{x} is the secret word."],
    "Remember this number: {x}.": ["The number to remember is {x}.", "The secret number is {x}.", "Keep the number {x}.", "Keep this number: {x}.", "Note this number: {x}.", "Note the number {x}.", "Do not forget the number {x}.", "Please remember this number: {x}.", "Please remember the number {x}.", "Learn this number: {x}.", "I tell you a number: {x}.", "Here is a number for you: {x}.", "{x} is my number.", "{x} is the number."],
    "Meu nome é {x}.": ["Sou {x}.", "{x} é o meu nome.", "Oi, eu sou {x}.", "Oi, sou {x}.", "Olá, meu nome é {x}.", "Olá! Eu sou {x}.", "Me chame de {x}.", "Todos me chamam de {x}.", "Eu me chamo {x}.", "Aqui é {x}.", "Bom dia, eu sou {x}."],
    "Eu moro em {x}.": ["Eu estou morando em {x}.", "Minha casa é em {x}.", "Sou de {x}.", "Eu sou de {x}.", "Eu venho de {x}.", "A cidade onde moro é {x}.", "A minha cidade é {x}.", "{x} é a minha cidade.", "Vivo em {x}.", "Tenho uma casa em {x}."],
    "Eu tenho {x} anos.": ["Tenho {x} anos de idade.", "A minha idade é {x}.", "A minha idade é {x} anos.", "Eu já tenho {x} anos.", "Agora tenho {x} anos.", "Completei {x} anos."],
    "Meu {pet} se chama {x}.": ["O meu {pet} é {x}.", "O meu {pet} se chama {x}.", "Eu tenho um {pet} chamado {x}.", "Tenho um {pet} que se chama {x}.", "{x} é o meu {pet}.", "{x} é o nome do meu {pet}.", "Chamo meu {pet} de {x}."],
    "Minha cor favorita é {x}.": ["Gosto mais da cor {x}.", "A cor que eu amo é {x}.", "A minha cor preferida é {x}.", "{x} é a minha cor favorita.", "Adoro a cor {x}."],
    "Minha comida favorita é {x}.": ["Gosto mais de comer {x}.", "A comida que eu amo é {x}.", "A minha comida preferida é {x}.", "{x} é a minha comida favorita.", "Adoro comer {x}."],
    "A palavra secreta é {x}.": ["A palavra é {x}.", "Lembre a palavra {x}.", "Minha senha é {x}.", "Não esqueça a palavra {x}.", "Anote esta palavra: {x}."],
    "Lembre este número: {x}.": ["O número secreto é {x}.", "Lembre o número {x}.", "O meu número é {x}.", "Não esqueça o número {x}.", "Anote este número: {x}."],
    # memory: what is asked
    "What is my name?": asked("en", "my name", "my name", "my name", "the name I told you", "the name that I have") + ["Who is talking to you?", "Say my name.", "How do people call me?", "What do you call me?", "What should you call me?", "How am I called?", "Which name do I have?", "Which name did I tell you?", "Do you know who I am?", "Do you remember who I am?", "Do you still know my name?", "And who am I?", "And what is my name?", "So what's my name?", "Now, what was my name?", "Have I told you my name?", "You know my name, right?", "Tell me who I am.", "Under what name do you know me?"],
    "Where do I live?": asked("en", "my city", "my town", "the city I live in", "the place where I live") + ["Where is my home?", "Where is my house?", "Where am I from?", "What city do I live in?", "What is the name of my city?", "In what city do I live?", "Which town do I live in?", "In which town is my home?", "And where do I live?", "Do you know where I live?", "Can you tell me where I live?", "Say where I live.", "Where did I say I live?", "I live where?", "Which city is mine?", "Which city did I tell you?"],
    "How old am I?": asked("en", "my age", "my age", "the age I have") + ["How old did I say I am?", "How many years old am I?", "Tell me how old I am.", "Do you remember how old I am?", "Can you say how old I am?", "And how old am I?", "Say how old I am.", "Which age do I have?", "I am how old?"],
    "What is my {pet} called?": asked("en", "my {pet}'s name", "the name of my {pet}", "the name my {pet} has") + ["What do I call my {pet}?", "How is my {pet} called?", "Which name does my {pet} have?", "Do you know my {pet}'s name?", "Do you remember what my {pet} is called?", "Tell me what my {pet} is called.", "And what is my {pet} called?", "And my {pet}?", "Who is my {pet}?", "My {pet} is called what?"],
    "What is my favourite colour?": asked("en", "my favourite colour", "my favorite color", "the colour I like", "the color I like best") + ["What colour do I like?", "Which color do I like best?", "Which colour do I love?", "What color do I like most?", "Do you know which colour I like?", "Say which colour I like best."],
    "What is my favourite food?": asked("en", "my favourite food", "my favorite food", "the food I like", "the food I like best") + ["What food do I like?", "What do I like to eat best?", "What do I love to eat?", "Which food do I like best?", "Do you know what I like to eat?", "What should I eat?", "Say what I like to eat."],
    "What is the secret word?": asked("en", "the secret word", "the word", "the password", "the word I told you", "my secret word") + ["Which word was it?", "What word was it?", "What word did I tell you?", "Which word did you keep?", "What was the secret word?", "Can you say the secret word?", "The word was what?", "Do you still know the word?"],
    "What was the number?": asked("en", "the number", "my number", "the number I told you", "the secret number") + ["Which number was it?", "What number was it?", "What number did I tell you?", "Which number did you keep?", "What is the number?", "Can you say the number?", "The number was what?", "Do you still know the number?", "Do you know my number?"],
    "Qual é o meu nome?": asked("pt", "o meu nome", "meu nome", "o nome que eu disse") + ["Como é o meu nome?", "Como me chamo?", "Como você me chama?", "Você sabe quem eu sou?", "Lembra o meu nome?", "Lembra quem eu sou?", "Quem é que eu sou?", "E quem sou eu?", "Que nome eu tenho?"],
    "Onde eu moro?": asked("pt", "a minha cidade", "a cidade onde eu moro") + ["Onde moro?", "Onde é a minha casa?", "Em que cidade moro?", "De onde eu sou?", "Me diga onde eu moro.", "Sabe onde eu moro?", "Lembra onde eu moro?", "Você sabe onde eu moro?", "Onde eu vivo?"],
    "Quantos anos eu tenho?": asked("pt", "a minha idade", "minha idade") + ["Quantos anos tenho?", "Que idade eu tenho?", "Me diga quantos anos eu tenho.", "Sabe quantos anos eu tenho?", "Você sabe a minha idade?", "Lembra quantos anos eu tenho?"],
    "Como se chama meu {pet}?": asked("pt", "o nome do meu {pet}") + ["Como se chama o meu {pet}?", "Como é o nome do meu {pet}?", "Que nome tem o meu {pet}?", "Me diga como se chama meu {pet}.", "Lembra o nome do meu {pet}?", "E o meu {pet}?"],
    "Qual é a minha cor favorita?": asked("pt", "a minha cor favorita", "a minha cor preferida") + ["De qual cor eu gosto?", "Que cor eu prefiro?", "Lembra a minha cor favorita?", "De que cor eu gosto mais?"],
    "Qual é a minha comida favorita?": asked("pt", "a minha comida favorita", "a minha comida preferida") + ["O que gosto de comer?", "Que comida eu prefiro?", "Lembra a minha comida favorita?", "O que eu mais gosto de comer?"],
    "Qual é a palavra secreta?": asked("pt", "a palavra", "a palavra secreta", "a senha") + ["Que palavra era?", "Que palavra eu disse?", "Lembra a palavra?"],
    "Qual era o número?": asked("pt", "o número", "o meu número", "o número secreto") + ["Que número era?", "Que número eu disse?", "Lembra o número?"],
    # languages
    "How do you say {word} in Portuguese?": asked("en", "{word} in Portuguese", "the Portuguese word for {word}", "the Portuguese for {word}") + ["{word} in Portuguese?", "How is {word} called in Portuguese?", "Put {word} into Portuguese.", "Into Portuguese: {word}", "Translate {word} to Portuguese.", "Please translate {word} into Portuguese.", "Which Portuguese word means {word}?", "What do they say for {word} in Portuguese?", "Can you say {word} in Portuguese?"],
    "How do you say {word} in English?": asked("en", "{word} in English", "the English word for {word}", "the English for {word}") + ["{word} in English?", "How is {word} called in English?", "Put {word} into English.", "Into English: {word}", "Translate {word} to English.", "Please translate {word} into English.", "Which English word means {word}?", "What is the meaning of {word} in English?", "Say {word} in English.", "Can you say {word} in English?"],
    "Como se diz {word} em português?": ["{word} em português?", "Como é {word} em português?", "Diga {word} em português.", "Traduza para o português: {word}", "Qual é a palavra portuguesa para {word}?", "Pode traduzir {word} para o português?", "Quero saber como se diz {word} em português."],
    "Como se diz {word} em inglês?": ["{word} em inglês?", "Como é {word} em inglês?", "O que significa {word} em inglês?", "Traduza para o inglês: {word}", "Pode traduzir {word} para o inglês?", "Me diga {word} em inglês.", "Quero saber como se diz {word} em inglês."],
    # emoji
    "What is the emoji for {word}?": asked("en", "the emoji for {word}", "the emoji for {a_word}", "the emoji of {a_word}", "the {word} emoji", "an emoji of {a_word}") + ["Show me {a_word}.", "Show an emoji: {word}", "emoji {word}", "emoji for {word}", "Emoji of {a_word}, please.", "Send me {a_word} emoji.", "I want {a_word} emoji.", "Which emoji means {word}?", "Do you have {a_word} emoji?"],
    "Qual é o emoji de {word}?": asked("pt", "o emoji de {word}", "o emoji de {a_word}") + ["emoji: {word}", "Mostre {a_word}.", "Envie o emoji de {word}.", "Quero o emoji de {word}.", "Que emoji é {a_word}?", "Tem um emoji de {word}?"],
    "What is {emoji}?": ["What's {emoji}?", "{emoji}", "{emoji} is what?", "What is the meaning of {emoji}?", "Explain {emoji}", "What do you see: {emoji}", "Name this: {emoji}", "Say what {emoji} is.", "Which word is {emoji}?", "What thing is {emoji}?", "Do you know what {emoji} is?", "I got this: {emoji} What is it?"],
    "O que é {emoji}?": ["O que quer dizer {emoji}?", "Que coisa é {emoji}?", "Qual é o nome disto: {emoji}", "Sabe o que é {emoji}?", "Me diga o que é {emoji}."],
    # stories and other small things
    "Tell me a story.": told("en", "a story", "a story", "a short story", "a little story", "some story"),
    "Tell me a long story.": told("en", "a long story", "a long story", "a very long story", "a really long story", "a long, long story"),
    "Conte uma história.": told("pt", "uma história", "uma história curta", "uma pequena história", "uma história pequena"),
    "Conte uma longa história.": told("pt", "uma longa história", "uma história longa", "uma história bem longa", "uma história muito longa"),
    "Tell me a joke.": told("en", "a joke", "a joke", "a good joke", "a funny joke", "something funny") + ["Be funny.", "Say something funny.", "Make a joke.", "Joke!", "Can you make me laugh?", "I want to laugh."],
    "Write a poem.": told("en", "a short poem", "a little poem", "a poem about the moon", "some poem", "a poem for me", "a rhyme", "a few verses", "some poetry") + ["Tell me a poem, please.", "Write me a poem.", "Can you write a poem?", "Give me a poem.", "I want a poem.", "Make a poem.", "A poem, please.", "poem", "I'd like a poem, please."],
    "Write a hello world program.": wanted("en", "a program", "a small program", "some code", "a bit of code", "a Python program", "code in Python", "a hello world program", "a line of code") + ["Can you program?", "Can you write programs?", "Do you know how to code?", "Do you write code?", "Write code.", "Write Python.", "Code something.", "Program something for me.", "Are you able to write a program?"],
    "Conte uma piada.": told("pt", "uma piada", "uma boa piada", "uma piada engraçada") + ["Me faça rir.", "Diga algo engraçado.", "Uma piada!"],
    "Escreva um poema.": told("pt", "um poema curto", "um pequeno poema", "uns versos", "um poema sobre a lua") + ["Me diga um poema.", "Você escreve poemas?", "Faça um poema.", "Um poema, por favor."],
    # JSON
    "List three {what} as JSON.": wanted("en", "three {what} as JSON", "three {what} in JSON", "a JSON list of three {what}", "a JSON array with three {what}", "JSON with three {what}") + ["JSON: three {what}", "Say three {what} in JSON.", "List three {what} in JSON."],
    "Liste três {what} em JSON.": wanted("pt", "três {what} em JSON", "três {what} como JSON", "uma lista JSON de três {what}", "um JSON com três {what}"),
    "Give me {place} as JSON.": wanted("en", "{place} and its capital as JSON", "{place} and its capital in JSON", "JSON with {place} and its capital", "{place} with its capital as JSON", "the country {place} as JSON", "JSON for {place}", "{place} in JSON") + ["{place} as JSON", "JSON: {place}", "I need {place} as JSON.", "Turn {place} into JSON.", "Put {place} into JSON.", "As JSON: {place} and its capital."],
    "Me dê a capital {place} em JSON.": wanted("pt", "a capital {place} em JSON", "a capital {place} como JSON", "um JSON com a capital {place}"),
    "Write this as JSON: name {name}, age {age}.": wanted("en", "JSON with the name {name} and the age {age}", "a JSON object with name {name} and age {age}", "JSON for name {name}, age {age}", "JSON of {name}, {age} years old", "JSON from this: name {name}, age {age}") + ["As JSON: name {name}, age {age}.", "Name {name}, age {age}, as JSON.", "Put this into JSON: {name}, {age} years old.", "{name}, {age} years old, in JSON.", "Turn this into JSON: {name} is {age} years old.", "{name} is {age}. Give me that as JSON."],
    "Escreva como JSON: nome {name}, idade {age}.": wanted("pt", "um JSON com nome {name} e idade {age}", "um JSON: nome {name}, idade {age}") + ["Em JSON: nome {name}, idade {age}.", "{name}, {age} anos, em JSON."],
    "{name} lives in {city}. Write it as JSON.": wanted("en", "JSON with the name {name} and the city {city}", "a JSON object with name {name} and city {city}", "JSON for name {name}, city {city}") + ["As JSON: name {name}, city {city}.", "Name {name}, city {city}, as JSON.", "Put this into JSON: {name} lives in {city}.", "Turn this into JSON: {name} lives in {city}.", "{name}'s home is {city}. Write that as JSON."],
    "{name} mora em {city}. Escreva em JSON.": wanted("pt", "um JSON com nome {name} e cidade {city}", "um JSON: nome {name}, cidade {city}") + ["Em JSON: nome {name}, cidade {city}."],
    # tools
    "What is the weather in {x}?": asked("en", "the weather in {x}", "the weather of {x}", "the weather in {x} now", "the weather for {x}", "the temperature in {x}") + ["Is it warm in {x}?", "Is it sunny in {x}?", "Will it rain in {x}?", "Is it raining in {x}?", "How warm is it in {x}?", "How cold is it in {x}?", "How is it outside in {x}?", "What is it like in {x}?", "Do I need an umbrella in {x}?"],
    "Como está o tempo em {x}?": asked("pt", "o tempo em {x}", "o clima em {x}", "a temperatura em {x}") + ["Está calor em {x}?", "Está chovendo em {x}?", "Vai chover em {x}?", "Como está o tempo hoje em {x}?", "Faz frio em {x}?"],
    "What is the weather in {a} and in {b}?": ["How is the weather in {a} and in {b}?", "How is the weather in {a} and {b}?", "Tell me the weather in {a} and in {b}.", "Weather in {a} and {b}?", "The weather in {a} and {b}, please.", "Is it warmer in {a} or in {b}?", "I want to know the weather in {a} and {b}."],
    "Como está o tempo em {a} e em {b}?": ["Como está o tempo em {a} e {b}?", "Qual é o tempo em {a} e em {b}?", "Me diga o tempo em {a} e {b}.", "Está mais frio em {a} ou em {b}?"],
    "What time is it in {x}?": asked("en", "the time in {x}", "the time in {x} now", "the hour in {x}") + ["What time is it now in {x}?", "What's the clock in {x}?", "Is it late in {x}?", "Do you know what time it is in {x}?"],
    "Que horas são em {x}?": asked("pt", "a hora em {x}") + ["Que horas são agora em {x}?", "Sabe que horas são em {x}?", "Diga as horas em {x}."],
    "Send a message to {x}: {text}": ["Send this to {x}: {text}", "Send to {x}: {text}", "Please send {x} a message: {text}", "Please write to {x}: {text}", "Tell {x}: {text}", "A message for {x}: {text}", "Mail {x}: {text}", "Text {x}: {text}", "Can you send {x} this: {text}"],
    "Mande uma mensagem para {x}: {text}": ["Mande para {x}: {text}", "Envie para {x}: {text}", "Diga a {x}: {text}", "Uma mensagem para {x}: {text}", "Escreva a {x}: {text}"],
    "Search for {x}.": ["Search {x}.", "Search the internet for {x}.", "Please look for {x}.", "Look for {x}.", "Find {x}.", "Find something about {x}.", "I want to find {x}.", "Could you look up {x}?", "Do a search for {x}.", "Look {x} up."],
    "Procure por {x}.": ["Procure {x}.", "Pesquise por {x}.", "Busque {x}.", "Encontre {x}.", "Quero encontrar {x}."],
    "How much does the {x} cost?": asked("en", "the price of the {x}", "the price of a {x}", "the cost of the {x}") + ["How much is the {x}?", "How much for the {x}?", "How much money is the {x}?", "Is the {x} cheap?"],
    "Quanto custa: {x}?": asked("pt", "o preço de {x}") + ["Quanto é: {x}?", "Quanto custa {x}?", "Por quanto sai: {x}?"],
    "Roll a die with {x} sides.": ["Roll a {x} sided die.", "Roll a {x}-sided dice.", "Roll dice with {x} sides.", "Throw a {x}-sided die.", "Can you roll a die with {x} sides?", "I want to roll a die with {x} sides.", "A die with {x} sides, please."],
    "Jogue um dado de {x} lados.": ["Jogue um dado com {x} lados.", "Role um dado com {x} lados.", "Quero jogar um dado de {x} lados."],
    "{verb} the {noun} {x}.": ["{verb} the {noun} called {x}.", "{verb} {noun} {x} for me.", "Now {verb} the {noun} {x}.", "Could you {verb} the {noun} {x}?", "I need you to {verb} the {noun} {x}.", "Use the tool {name} with {x}.", "Run {name} with {x}.", "{name}: {x}", "{name} {x}", "Use {name} for {x}."],
    "Use {name} com {x}.": ["Rode {name} com {x}.", "Use {name} para {x}.", "Agora use {name} com {x}."],
    # what the model does not know
    "Who invented the {thing}?": ["What is the capital of {place}?"] * 12 + ["Tell me the capital of {place}.", "capital of {place}?", "What's the capital of {place}?", "Which city is the capital of {place}?", "Name the capital of {place}.", "What colour is the {thing}?", "Who found the {thing}?", "Where is {place}?", "Where is {person} from?", "How big is {place}?", "How old is {person}?", "Why is {person} famous?", "What did {person} do?", "How fast is a {thing}?", "Explain the {thing} to me.", "How do I make a {thing}?", "What language do they speak in {place}?", "Who lives in {place}?"],
    "Quem foi {person}?": ["Qual é a capital de {place}?"] * 4 + ["Me diga a capital de {place}.", "Quem é {person}?", "O que fez {person}?", "Qual é o tamanho de {place}?", "Que língua se fala em {place}?", "Onde nasceu {person}?"],
}
