//! The pages of the shop, as HTML.

use super::catalog::Product;
use super::reviews::Opinions;
use std::fmt::Write;

/// The front page.
pub(super) fn front(products: &[Product], featured: &Opinions, pieces: u32) -> String {
    let mut list = String::new();
    for product in products {
        let _ = writeln!(
            list,
            "<li><a href=\"/product/{}\">{}</a> {}</li>",
            product.id,
            escape(&product.name),
            price(product)
        );
    }
    page(
        "The wattle shop",
        &format!(
            "<ul>\n{list}</ul>\n{}<p>In the cart: {pieces}</p>\n",
            opinions(featured)
        ),
    )
}

/// The page of one product.
pub(super) fn product(product: &Product, said: &Opinions) -> String {
    page(
        &product.name,
        &format!("<p>{}</p>\n{}", price(product), opinions(said)),
    )
}

fn page(title: &str, body: &str) -> String {
    let title = escape(title);
    format!("<!doctype html>\n<title>{title}</title>\n<h1>{title}</h1>\n{body}")
}

fn price(product: &Product) -> String {
    format!("{}.{:02} €", product.price_cents / 100, product.price_cents % 100)
}

fn opinions(said: &Opinions) -> String {
    let mut text = String::new();
    if let Some(stars) = &said.rating {
        let _ = writeln!(
            text,
            "<p>{:.1} stars by {} votes; the latest: {:?}</p>",
            stars.average, stars.votes, stars.latest
        );
    }
    for opinion in &said.reviews {
        let _ = writeln!(text, "<p>{}: {}</p>", escape(&opinion.who), escape(&opinion.text));
    }
    text
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_said_is_text_and_never_markup() {
        let said = Opinions {
            product: 1,
            reviews: vec![],
            rating: None,
        };
        let sold = Product {
            id: 1,
            name: "<script>".to_owned(),
            price_cents: 1205,
        };
        let page = product(&sold, &said);
        assert!(
            page.contains("&lt;script&gt;") && !page.contains("<script>") && page.contains("12.05 €"),
            "{page}"
        );
    }
}
